//! `overlays/${labels.env}`: a folder per cluster, without a way out of the repository.
//!
//! Deliberately absent: any other expression. A path is a lookup, not a program.

use std::{collections::BTreeMap, fmt};

use model::Labels;

/// Longest template, in bytes.
const TEMPLATE_BYTES_MAX: usize = 1024;

/// Labels in one name of a folder; keeps the search for folders that fit short.
const SEGMENT_LABELS_MAX: usize = 4;

/// A path below the folder of an App, possibly with labels of the cluster in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Up,
    Name(Vec<Piece>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Label(String),
}

/// Why a path cannot be told for one cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unresolved {
    /// The cluster does not carry this label.
    Missing { label: String },
    /// The label's value is no name of a folder.
    Unfit { label: String, value: String },
}

impl PathTemplate {
    /// Reads a template; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<PathTemplate, String> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(format!("it is longer than {TEMPLATE_BYTES_MAX} bytes"));
        }
        if text.starts_with('/') {
            return Err("it begins with `/`; it is relative to the folder of the App".to_owned());
        }
        if text.contains(['\\', '\0']) {
            return Err("it contains a character that no path has; separate with `/`".to_owned());
        }
        let mut segments = Vec::new();
        for segment in text.split('/') {
            match segment {
                "" | "." => {}
                ".." => segments.push(Segment::Up),
                name => segments.push(Segment::Name(pieces(name)?)),
            }
        }
        Ok(PathTemplate { text: text.to_owned(), segments })
    }

    /// The text it was made of.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the same for every cluster.
    pub fn is_fixed(&self) -> bool {
        self.labels().next().is_none()
    }

    /// The labels it uses.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        let pieces = self.segments.iter().flat_map(|segment| match segment {
            Segment::Up => &[][..],
            Segment::Name(pieces) => pieces,
        });
        pieces.filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Label(name) => Some(name.as_str()),
        })
    }

    /// Whether it stays inside the repository when it begins at `base`.
    pub(crate) fn stays_below(&self, base: &str) -> bool {
        let mut depth = base.split('/').filter(|s| !s.is_empty()).count();
        self.segments.iter().all(|segment| match segment {
            Segment::Up if depth == 0 => false,
            Segment::Up => {
                depth -= 1;
                true
            }
            Segment::Name(_) => {
                depth += 1;
                true
            }
        })
    }

    /// The path from the root of the repository for one cluster, beginning at `base`.
    pub(crate) fn resolve(&self, base: &str, labels: &Labels) -> Result<String, Unresolved> {
        let mut path: Vec<String> =
            base.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect();
        for segment in &self.segments {
            match segment {
                Segment::Up => drop(path.pop()),
                Segment::Name(pieces) => path.push(fill(pieces, labels)?),
            }
        }
        Ok(path.join("/"))
    }

    /// Every folder that it can lead to, given the folders that exist; for checks without a fleet.
    /// `folders` lists the names of the folders in a folder.
    pub(crate) fn every<E>(
        &self,
        base: &str,
        folders: impl Fn(&str) -> Result<Vec<String>, E>,
    ) -> Result<Vec<String>, E> {
        let nothing = Labels::new();
        let mut paths = vec![base.to_owned()];
        for segment in &self.segments {
            let mut next = Vec::new();
            for path in paths {
                let join = |name: &str| match path.as_str() {
                    "" => name.to_owned(),
                    path => format!("{path}/{name}"),
                };
                match segment {
                    Segment::Up => {
                        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                        next.push(parent.to_owned());
                    }
                    Segment::Name(pieces) => {
                        if let Ok(name) = fill(pieces, &nothing) {
                            next.push(join(&name));
                        } else {
                            let names = folders(&path)?;
                            next.extend(names.iter().filter(|n| fits(pieces, n)).map(|n| join(n)));
                        }
                    }
                }
            }
            paths = next;
        }
        paths.sort();
        paths.dedup();
        Ok(paths)
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn pieces(segment: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = segment;
    while let Some((literal, after)) = rest.split_once("${") {
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.to_owned()));
        }
        let Some((expression, after)) = after.split_once('}') else {
            return Err(format!("`${{{after}` has no closing `}}`"));
        };
        let label = expression.trim().strip_prefix("labels.").unwrap_or_default();
        let ok = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if label.is_empty() || !label.chars().all(ok) {
            return Err(format!("`${{{expression}}}` is not known; write `${{labels.NAME}}`"));
        }
        pieces.push(Piece::Label(label.to_owned()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    if pieces.iter().filter(|p| matches!(p, Piece::Label(_))).count() > SEGMENT_LABELS_MAX {
        return Err(format!("`{segment}` has more than {SEGMENT_LABELS_MAX} labels"));
    }
    Ok(pieces)
}

fn fill(pieces: &[Piece], labels: &Labels) -> Result<String, Unresolved> {
    let mut name = String::new();
    let mut last = None;
    for piece in pieces {
        match piece {
            Piece::Literal(text) => name.push_str(text),
            Piece::Label(label) => {
                let Some(value) = labels.get(label) else {
                    return Err(Unresolved::Missing { label: label.clone() });
                };
                let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
                if value.is_empty() || !value.chars().all(fits) {
                    return Err(Unresolved::Unfit { label: label.clone(), value: value.clone() });
                }
                name.push_str(value);
                last = Some((label, value));
            }
        }
    }
    // A label may not make a segment that climbs or stays: `..` must be written by the author.
    match last {
        Some((label, value)) if name == "." || name == ".." => {
            Err(Unresolved::Unfit { label: label.clone(), value: value.clone() })
        }
        _ => Ok(name),
    }
}

/// Whether `name` could come out of `pieces`, each label standing for at least one character and the
/// same label for the same text.
fn fits(pieces: &[Piece], name: &str) -> bool {
    fn go<'a>(pieces: &'a [Piece], name: &'a str, known: &mut BTreeMap<&'a str, &'a str>) -> bool {
        match pieces.split_first() {
            None => name.is_empty(),
            Some((Piece::Literal(text), rest)) => {
                name.strip_prefix(text.as_str()).is_some_and(|name| go(rest, name, known))
            }
            Some((Piece::Label(label), rest)) => {
                if let Some(value) = known.get(label.as_str()).copied() {
                    return name.strip_prefix(value).is_some_and(|name| go(rest, name, known));
                }
                let ends = name.char_indices().map(|(at, c)| at + c.len_utf8());
                for end in ends {
                    known.insert(label, &name[..end]);
                    if go(rest, &name[end..], known) {
                        return true;
                    }
                }
                known.remove(label.as_str());
                false
            }
        }
    }
    !name.starts_with('.') && go(pieces, name, &mut BTreeMap::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn resolved(template: &str, pairs: &[(&str, &str)]) -> Result<String, Unresolved> {
        PathTemplate::parse(template).unwrap().resolve("apps/web", &labels(pairs))
    }

    #[test]
    fn a_path_begins_at_the_folder_of_the_app() {
        for template in ["overlays/eu", "./overlays/eu", "overlays//eu/", "x/../overlays/eu"] {
            assert_eq!(resolved(template, &[]).unwrap(), "apps/web/overlays/eu", "{template}");
        }
        assert_eq!(resolved(".", &[]).unwrap(), "apps/web");
        assert_eq!(resolved("../../shared", &[]).unwrap(), "shared");
    }

    #[test]
    fn labels_fill_in_and_never_climb() {
        let env = |value| resolved("overlays/${labels.env}", &[("env", value)]);
        assert_eq!(env("prod").unwrap(), "apps/web/overlays/prod");
        for value in ["..", ".", "", "a/b", "../x", "a b", "a\n"] {
            assert!(matches!(env(value), Err(Unresolved::Unfit { .. })), "{value:?}");
        }
        let dots = resolved("${labels.a}.", &[("a", ".")]);
        assert!(matches!(dots, Err(Unresolved::Unfit { .. })));
        let missing = resolved("overlays/${labels.env}", &[]);
        assert_eq!(missing, Err(Unresolved::Missing { label: "env".to_owned() }));
    }

    #[test]
    fn a_path_that_leaves_the_repository_is_seen() {
        let stays = |t: &str| PathTemplate::parse(t).unwrap().stays_below("apps/web");
        assert!(stays("../.."));
        assert!(stays("../../x"));
        assert!(!stays("../../.."));
        assert!(!stays("../../../x"));
        assert!(stays("a/../../../x"));
    }

    #[test]
    fn a_bad_template_is_named() {
        let error = |t: &str| PathTemplate::parse(t).unwrap_err();
        assert!(error("/etc").contains("relative"));
        assert!(error("a\\b").contains('/'));
        assert!(error("${labels.env").contains("closing"));
        assert!(error("${cluster.name}").contains("${labels.NAME}"));
        assert!(error("${labels.}").contains("${labels.NAME}"));
    }

    #[test]
    fn every_folder_that_fits_is_found() {
        let folders = |path: &str| -> Result<Vec<String>, ()> {
            assert_eq!(path, "apps/web/overlays");
            Ok(["eu-prod", "eu-dev", "us-prod", "prod", ".git"].map(str::to_owned).to_vec())
        };
        let every = |t: &str| PathTemplate::parse(t).unwrap().every("apps/web", folders).unwrap();
        assert_eq!(every("overlays/eu-${labels.env}").len(), 2);
        assert_eq!(every("overlays/${labels.region}-${labels.env}").len(), 3);
        assert_eq!(every("overlays/${labels.env}").len(), 4);
        assert_eq!(every("overlays/x").len(), 1);
    }
}
