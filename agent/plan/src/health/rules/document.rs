//! The form of a file of health rules, for the library (read when the crate is built) and for rules of
//! users (read while it runs). Only the form: what an expression means is told elsewhere.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_saphyr::Spanned;

/// Most rules in one file.
pub(crate) const RULES_MAX: usize = 1000;
/// Most clauses of one rule: more is a program, not a rule.
pub(crate) const CLAUSES_MAX: usize = 48;

/// The words that a clause may open with.
pub(crate) const WORDS: [&str; 6] =
    ["Healthy", "Suspended", "Progressing", "Missing", "Degraded", "Unknown"];
/// Gives the message of a clause.
pub(crate) const SAY: &str = "say";

/// A file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Document {
    /// Whose kinds these are.
    #[serde(default)]
    pub(crate) project: Option<String>,
    /// Where the project says what its status means.
    #[serde(default, rename = "documented")]
    pub(crate) _documented: Option<OneOrMore>,
    /// The rules.
    pub(crate) rules: Vec<Spanned<RuleText>>,
}

/// One rule, as written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleText {
    /// API groups; `*.example.io` stands for all groups with that ending, `""` for the core group.
    #[serde(default, alias = "groups")]
    pub(crate) group: Option<OneOrMore>,
    /// Kinds; `*` stands for all of the group.
    #[serde(default)]
    pub(crate) kinds: Option<Vec<String>>,
    /// Versions; all when absent, or `*`.
    #[serde(default)]
    pub(crate) versions: Option<Vec<String>>,
    /// Group and version in one.
    #[serde(default)]
    pub(crate) api_version: Option<String>,
    /// One kind.
    #[serde(default)]
    pub(crate) kind: Option<String>,
    /// Path of the generation that the status is about, or `none` when the kind keeps none.
    #[serde(default)]
    pub(crate) observed: Option<String>,
    /// Clauses, tried in order: the first that holds is the verdict; none means `Progressing`.
    #[serde(default)]
    pub(crate) judge: Option<Vec<BTreeMap<String, Spanned<String>>>>,
    /// The other form: three questions, asked in this order.
    #[serde(default)]
    pub(crate) in_progress: Option<Spanned<String>>,
    /// `Degraded` when it holds.
    #[serde(default)]
    pub(crate) failed: Option<Spanned<String>>,
    /// `Healthy` when it holds.
    #[serde(default, alias = "ready")]
    pub(crate) current: Option<Spanned<String>>,
    /// What it is called in messages, instead of its file and line.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// Objects and what is to be said of them; only tests read them.
    #[serde(default, rename = "cases")]
    pub(crate) _cases: Option<serde::de::IgnoredAny>,
}

/// A text or a list of texts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    /// As a list.
    pub(crate) fn all(self) -> Vec<String> {
        match self {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        }
    }
}

/// What a rule is about.
pub(crate) struct About {
    pub(crate) groups: Vec<String>,
    pub(crate) kinds: Vec<String>,
    pub(crate) versions: Vec<String>,
}

/// A clause, taken apart.
pub(crate) struct ClauseText {
    /// One of [`WORDS`].
    pub(crate) word: String,
    /// When it holds.
    pub(crate) when: Spanned<String>,
    /// What to say then.
    pub(crate) say: Option<Spanned<String>>,
}

/// What is wrong with a rule, and at which line when that is not the line of the rule itself.
#[derive(Debug)]
pub(crate) struct Wrong {
    /// Line in the file, from 1.
    pub(crate) line: Option<u64>,
    /// What and what to do.
    pub(crate) message: String,
}

impl RuleText {
    /// Groups, kinds, versions.
    pub(crate) fn about(&mut self) -> Result<About, Wrong> {
        let wrong = |message: &str| Wrong { line: None, message: message.to_owned() };
        let mut versions = self.versions.take().unwrap_or_default();
        versions.retain(|version| version != "*");
        let groups = match (self.group.take(), self.api_version.take()) {
            (Some(group), None) => group.all(),
            (None, Some(api_version)) => {
                let (group, version) =
                    api_version.split_once('/').unwrap_or(("", api_version.as_str()));
                if version != "*" {
                    versions.push(version.to_owned());
                }
                vec![group.to_owned()]
            }
            _ => return Err(wrong("name the kinds by either `group` or `apiVersion`")),
        };
        let kinds = match (self.kinds.take(), self.kind.take()) {
            (Some(kinds), None) if !kinds.is_empty() => kinds,
            (None, Some(kind)) => vec![kind],
            _ => return Err(wrong("name either `kinds`, a list, or `kind`")),
        };
        if groups.iter().any(|group| group.trim_start_matches("*.").contains('*')) {
            return Err(wrong("a group may begin with `*.` and hold no other `*`"));
        }
        Ok(About { groups, kinds, versions })
    }

    /// The clauses, whichever way they were written.
    pub(crate) fn clauses(&mut self) -> Result<Vec<ClauseText>, Wrong> {
        let wrong = |message: String| Wrong { line: None, message };
        let questions = [
            ("Progressing", self.in_progress.take()),
            ("Degraded", self.failed.take()),
            ("Healthy", self.current.take()),
        ];
        let questions: Vec<ClauseText> = questions
            .into_iter()
            .filter_map(|(word, when)| {
                Some(ClauseText { word: word.to_owned(), when: when?, say: None })
            })
            .collect();
        match (self.judge.take(), questions.is_empty()) {
            (Some(list), true) if !list.is_empty() => {
                if list.len() > CLAUSES_MAX {
                    return Err(wrong(format!("more than {CLAUSES_MAX} clauses")));
                }
                list.into_iter().map(clause).collect()
            }
            (None, false) => Ok(questions),
            _ => Err(wrong(
                "write either `judge`, a list of clauses, or `inProgress`, `failed` and `current`"
                    .to_owned(),
            )),
        }
    }
}

fn clause(mut map: BTreeMap<String, Spanned<String>>) -> Result<ClauseText, Wrong> {
    let say = map.remove(SAY);
    let line = map.values().next().map(|text| text.referenced.line());
    let only = map.len() == 1;
    match map.pop_first() {
        Some((word, when)) if only && WORDS.contains(&word.as_str()) => {
            Ok(ClauseText { word, when, say })
        }
        _ => Err(Wrong {
            line,
            message: format!(
                "a clause has one of {} as its key, an expression as its value, and at most `say` beside it",
                WORDS.join(", ")
            ),
        }),
    }
}
