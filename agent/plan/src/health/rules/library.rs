//! The rules that come with the program: the files of `health/`, one a project, in the form of a table.
//! A rule is read on the first object of its kind, and then kept.

use std::sync::OnceLock;

use model::Health;

use super::expression::Expression;
use super::rule::{Clause, Observed, Rule};

include!(concat!(env!("OUT_DIR"), "/library.rs"));

/// One rule as the build left it.
pub(in super::super) struct Row {
    project: &'static str,
    line: u32,
    groups: &'static [&'static str],
    kinds: &'static [&'static str],
    versions: &'static [&'static str],
    observed: Option<&'static str>,
    clauses: &'static [(Health, &'static str, Option<&'static str>)],
    compiled: OnceLock<Result<Rule, String>>,
}

/// The rule of a kind: one that names group and kind before one for all kinds of the group, and that
/// before one for all groups of an ending.
pub(in super::super) fn find(group: &str, version: &str, kind: &str) -> Option<&'static Row> {
    let weight = |row: &&Row| fit(row.groups, row.kinds, row.versions, (group, version, kind));
    LIBRARY
        .iter()
        .filter_map(|row| Some((weight(&row)?, row)))
        .max_by_key(|(w, _)| *w)
        .map(|(_, r)| r)
}

/// How exactly lists of groups, kinds and versions name something; `None` when they do not.
pub(super) fn fit<T: AsRef<str>>(
    groups: &[T],
    kinds: &[T],
    versions: &[T],
    (group, version, kind): (&str, &str, &str),
) -> Option<(usize, bool, bool)> {
    let named = kinds.iter().any(|k| k.as_ref() == kind);
    if !named && !kinds.iter().any(|k| k.as_ref() == "*") {
        return None;
    }
    let versioned = versions.iter().any(|v| v.as_ref() == version);
    if !versioned && !versions.is_empty() {
        return None;
    }
    let groups = groups.iter().filter_map(|pattern| matches(pattern.as_ref(), group));
    groups.max().map(|length| (length, named, versioned))
}

/// How much of `group` a pattern names.
fn matches(pattern: &str, group: &str) -> Option<usize> {
    match pattern.strip_prefix('*') {
        Some(ending) => group.ends_with(ending).then_some(ending.len()),
        None => (pattern == group).then_some(usize::MAX),
    }
}

impl Row {
    /// Reads it, once.
    pub(in super::super) fn rule(&self) -> Result<&Rule, &str> {
        self.compiled.get_or_init(|| self.compile()).as_ref().map_err(String::as_str)
    }

    /// File and line.
    pub(in super::super) fn name(&self) -> String {
        format!("{}:{}", self.project, self.line)
    }

    /// Whether to be there is all that is asked.
    pub(in super::super) fn is_existence(&self) -> bool {
        matches!(self.clauses, [(Health::Healthy, "true", None)])
    }

    fn compile(&self) -> Result<Rule, String> {
        let clause = |(health, when, say): &(Health, &str, Option<&str>)| {
            Ok::<_, String>(Clause {
                health: *health,
                when: Expression::compile(when)?,
                say: say.map(Expression::compile).transpose()?,
            })
        };
        let clauses = self.clauses.iter().map(clause).collect::<Result<_, _>>()?;
        Ok(Rule::new(clauses, Observed::read(self.observed)).lenient())
    }
}
