//! Rules of users: read from a file with the place of every fault, laid over each other, asked first.

use std::fmt;
use std::sync::Arc;

use model::Health;
use serde_saphyr::Spanned;

use super::document::{About, ClauseText, Document, RULES_MAX, RuleText, WORDS, Wrong};
use super::expression::Expression;
use super::library::fit;
use super::rule::{Clause, Observed, Rule};

/// Largest file of rules, in bytes: a thousand rules of one kilobyte.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Most faults that are told of one file.
const FAULTS_MAX: usize = 50;

/// Rules that outrank those of the library and of the built-in kinds. Later ones outrank earlier ones.
#[derive(Debug, Clone, Default)]
pub struct RuleSet {
    rules: Vec<Arc<UserRule>>,
}

#[derive(Debug)]
struct UserRule {
    name: String,
    groups: Vec<String>,
    kinds: Vec<String>,
    versions: Vec<String>,
    rule: Rule,
}

/// What is wrong with a file of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFault {
    /// The file, as it was called.
    pub file: String,
    /// Line, from 1; 0 when unknown.
    pub line: u64,
    /// What, and what to do.
    pub message: String,
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl RuleSet {
    /// No rule: the library alone.
    pub fn new() -> RuleSet {
        RuleSet::default()
    }

    /// Reads a file, or tells all that is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<RuleSet, Vec<RuleFault>> {
        let fault = |line: u64, message: String| RuleFault { file: file.to_owned(), line, message };
        if text.len() > FILE_BYTES_MAX {
            return Err(vec![fault(0, format!("the file is larger than {FILE_BYTES_MAX} bytes"))]);
        }
        let options = serde_saphyr::options! { with_snippet: false };
        let document: Document = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| vec![fault(line_of(&error), words_of(&error))])?;
        if document.rules.len() > RULES_MAX {
            return Err(vec![fault(0, format!("more than {RULES_MAX} rules"))]);
        }
        let (mut rules, mut faults) = (Vec::new(), Vec::new());
        let title = document.project.unwrap_or_else(|| file.to_owned());
        for mut rule in document.rules {
            let line = rule.referenced.line();
            let name = rule.value.name.take().unwrap_or_else(|| format!("{title}:{line}"));
            match read(name, rule) {
                Ok(rule) => rules.push(Arc::new(rule)),
                Err(wrongs) => faults
                    .extend(wrongs.into_iter().map(|w| fault(w.line.unwrap_or(line), w.message))),
            }
        }
        faults.truncate(FAULTS_MAX);
        if faults.is_empty() { Ok(RuleSet { rules }) } else { Err(faults) }
    }

    /// These rules with `over` on top: first those of the fleet, then those of an App.
    #[must_use]
    pub fn overlaid(&self, over: &RuleSet) -> RuleSet {
        RuleSet { rules: self.rules.iter().chain(&over.rules).cloned().collect() }
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule of these may judge objects of this kind, in whatever version: then they are needed
    /// whole, also when the library is content with their existence.
    pub fn touches(&self, group: &str, kind: &str) -> bool {
        let fits = |rule: &Arc<UserRule>| {
            let versions = rule.versions.iter().map(String::as_str).chain([""]);
            let mut each = versions.map(|version| {
                fit(&rule.groups, &rule.kinds, &rule.versions, (group, version, kind))
            });
            each.any(|fits| fits.is_some())
        };
        self.rules.iter().any(fits)
    }

    /// The rule of a kind, and what it is called.
    pub(in super::super) fn find(
        &self,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Option<(&Rule, &str)> {
        let fits = |r: &UserRule| fit(&r.groups, &r.kinds, &r.versions, (group, version, kind));
        let found = self.rules.iter().filter(|rule| fits(rule).is_some());
        found.max_by_key(|rule| fits(rule)).map(|found| (&found.rule, found.name.as_str()))
    }
}

fn read(name: String, mut text: Spanned<RuleText>) -> Result<UserRule, Vec<Wrong>> {
    let mut wrongs = Vec::new();
    let about = text.value.about().map_err(|wrong| wrongs.push(wrong));
    let clauses = text.value.clauses().map_err(|wrong| wrongs.push(wrong)).unwrap_or_default();
    let clauses: Vec<Clause> =
        clauses.into_iter().filter_map(|text| clause(&text, &mut wrongs)).collect();
    match about {
        Ok(About { groups, kinds, versions }) if wrongs.is_empty() => {
            let rule = Rule::new(clauses, Observed::read(text.value.observed.as_deref()));
            Ok(UserRule { name, groups, kinds, versions, rule })
        }
        _ => Err(wrongs),
    }
}

fn clause(text: &ClauseText, wrongs: &mut Vec<Wrong>) -> Option<Clause> {
    let mut compile = |text: &Spanned<String>| {
        let wrong = |message| Wrong { line: Some(text.referenced.line()), message };
        Expression::compile(&text.value).map_err(|m| wrongs.push(wrong(m))).ok()
    };
    let when = compile(&text.when);
    let say = match &text.say {
        Some(say) => Some(compile(say)?),
        None => None,
    };
    Some(Clause { health: health(&text.word), when: when?, say })
}

fn health(word: &str) -> Health {
    let all = [
        Health::Healthy,
        Health::Suspended,
        Health::Progressing,
        Health::Missing,
        Health::Degraded,
        Health::Unknown,
    ];
    debug_assert_eq!(WORDS, all.map(Health::as_str));
    all.into_iter().find(|health| health.as_str() == word).unwrap_or(Health::Unknown)
}

fn line_of(error: &serde_saphyr::Error) -> u64 {
    error.location().map_or(0, |location| location.line())
}

/// Its words without the place, which is told once, by us.
fn words_of(error: &serde_saphyr::Error) -> String {
    let message = error.without_snippet().to_string();
    let end = message.find(" at line ").unwrap_or(message.len());
    message[..end].lines().next().unwrap_or_default().to_owned()
}
