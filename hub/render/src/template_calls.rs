//! The functions that a Go template calls, told from its text: enough to refuse one and to mistrust others.
//!
//! Deliberately absent: a parser of templates. A name in an action counts, wherever it stands; a name in
//! quotes or in a comment does not.

/// A name in an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: u32,
}

/// Functions that give something else each time.
pub(crate) const CHANGING: &[&str] = &[
    "ago",
    "bcrypt",
    "buildCustomCert",
    "date",
    "dateInZone",
    "encryptAES",
    "genCA",
    "genCAWithKey",
    "genPrivateKey",
    "genSelfSignedCert",
    "genSelfSignedCertWithKey",
    "genSignedCert",
    "genSignedCertWithKey",
    "htpasswd",
    "htmlDate",
    "now",
    "randAlpha",
    "randAlphaNum",
    "randAscii",
    "randBytes",
    "randInt",
    "randNumeric",
    "shuffle",
    "unixEpoch",
    "uuidv4",
];

/// Every name in every action of a template.
pub(crate) fn calls(text: &str) -> Vec<Call<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some((before, after)) = rest.split_once("{{") {
        line += lines(before);
        let inner = action(after);
        names(inner, line, &mut found);
        line += lines(inner);
        rest = &after[inner.len()..];
    }
    found
}

fn lines(text: &str) -> u32 {
    u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX)
}

/// The text of an action up to its closing braces, which may stand in quotes too.
fn action(text: &str) -> &str {
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            None if c == '"' || c == '`' => quote = Some(c),
            None if text[at..].starts_with("}}") => return &text[..at],
            Some(_) | None => {}
        }
    }
    text
}

fn names<'a>(action: &'a str, mut line: u32, found: &mut Vec<Call<'a>>) {
    let inner = action.trim_start_matches('-').trim_start();
    if inner.starts_with("/*") {
        return;
    }
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '$';
    let mut quote = None;
    let mut escaped = false;
    let mut begin = None;
    for (at, c) in action.char_indices().chain([(action.len(), ' ')]) {
        match quote {
            Some('"') if escaped => escaped = false,
            Some('"') if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if part(c) => begin = begin.or(Some(at)),
            None => {
                if let Some(begin) = begin.take() {
                    found.push(Call { name: &action[begin..at], line });
                }
                if c == '"' || c == '`' {
                    quote = Some(c);
                }
            }
        }
        line += u32::from(c == '\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Vec<(&str, u32)> {
        calls(text).into_iter().map(|call| (call.name, call.line)).collect()
    }

    #[test]
    fn names_in_actions_count_and_others_do_not() {
        assert_eq!(named("a: lookup\nb: {{ lookup \"v1\" \"Secret\" }}"), [("lookup", 2)]);
        assert_eq!(
            named("{{- $x := (lookup `}} now`) | quote -}}"),
            [("$x", 1), ("lookup", 1), ("quote", 1)]
        );
        assert_eq!(named("{{/* lookup */}}\n{{ \"a \\\" lookup\" }}"), []);
        assert_eq!(
            named("{{ .Values.lookup }}\n\n{{\nnow }}"),
            [(".Values.lookup", 1), ("now", 4)]
        );
        assert_eq!(named("{{ lookup"), [("lookup", 1)]);
    }
}
