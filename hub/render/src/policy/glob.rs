//! Words with `*` for any text.

/// Some patterns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Globs(Vec<String>);

impl Globs {
    pub(super) fn new(patterns: Vec<String>) -> Globs {
        Globs(patterns)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them fits. A kind fits with its group and without.
    pub(super) fn any(&self, word: &str) -> bool {
        self.0.iter().any(|pattern| {
            fits(pattern, word)
                || (!pattern.contains('.')
                    && word.split_once('.').is_some_and(|(kind, _)| fits(pattern, kind)))
        })
    }
}

/// Whether `*` can stand for texts that make `pattern` the word.
fn fits(pattern: &str, word: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = word.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let yes = [
            ("*", "x"),
            ("a*", "a"),
            ("a*c", "abc"),
            ("*b*", "abc"),
            ("a", "a"),
            ("a*b*c", "aXbYc"),
        ];
        for (pattern, word) in yes {
            assert!(fits(pattern, word), "{pattern} {word}");
        }
        for (pattern, word) in [("a", "ab"), ("a*", "ba"), ("*a", "ab"), ("ab*b", "ab"), ("", "a")]
        {
            assert!(!fits(pattern, word), "{pattern} {word}");
        }
    }

    #[test]
    fn a_kind_fits_with_and_without_its_group() {
        let globs = |p: &str| Globs::new(vec![p.to_owned()]);
        assert!(globs("Deployment").any("Deployment.apps"));
        assert!(globs("*.cert-manager.io").any("Certificate.cert-manager.io"));
        assert!(!globs("Deployment.batch").any("Deployment.apps"));
    }
}
