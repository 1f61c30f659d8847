//! Which clusters: a CEL expression over hub-side labels and agent-reported facts.
//!
//! A label that a cluster does not carry makes the whole expression *not match* (never an error and
//! never a match): a typo must not widen a selection. Use `has(labels.x)` to ask for presence.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Hub-side labels of a cluster; the only ground for placement unless an expression says `facts.`.
pub type Labels = BTreeMap<String, String>;

/// What the agent says of its cluster; a JSON object. Kept apart from labels because an agent may lie.
pub type Facts = serde_json::Value;

/// Longest expression, in bytes; ample for a screen of clauses.
const SELECTOR_BYTES_MAX: usize = 4096;

/// Most opening brackets and most operators. Reading and evaluating an expression recurses over both, and
/// a stack that overflows ends the process. Counted in quotes and comments too: so no trick of quoting
/// can hide one.
const BRACKETS_MAX: usize = 64;
const OPERATORS_MAX: usize = 512;

/// Stack for one bracket, one operator, and the rest; measured without optimisation (below 256 KiB and
/// 40 KiB) and rounded up.
const BRACKET_STACK: usize = 384 << 10;
const OPERATOR_STACK: usize = 64 << 10;
const BASE_STACK: usize = 256 << 10;

/// A compiled expression. Equal when the text is equal.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    source: String,
    program: Arc<cel::Program>,
    /// Bytes of stack that evaluating may take.
    stack: usize,
}

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector `{source_text}`: {why}")]
pub struct SelectorError {
    source_text: String,
    why: String,
}

impl Selector {
    /// Compiles; refuses a name other than `labels` and `facts`, so that a typo shows at lint time.
    pub fn parse(source: &str) -> Result<Selector, SelectorError> {
        let fault = |why: String| SelectorError { source_text: source.to_owned(), why };
        if source.len() > SELECTOR_BYTES_MAX {
            return Err(fault(format!("longer than {SELECTOR_BYTES_MAX} bytes")));
        }
        if source.trim().is_empty() {
            return Err(fault("empty; write `true` to select every cluster".to_owned()));
        }
        let stack = stack_needed(source).map_err(fault)?;
        let program = stacker::maybe_grow(stack, stack, || cel::Program::compile(source));
        let program = program.map_err(|e| fault(e.to_string()))?;
        let references = program.references();
        let unknown = references.variables().into_iter().find(|v| !["labels", "facts"].contains(v));
        if let Some(name) = unknown {
            return Err(fault(format!("`{name}` is unknown; use `labels.…` or `facts.…`")));
        }
        Ok(Selector { source: source.to_owned(), program: Arc::new(program), stack })
    }

    /// The text it was made of.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Whether the expression looks at agent-reported facts.
    pub fn uses_facts(&self) -> bool {
        self.program.references().has_variable("facts")
    }

    /// Whether a cluster is selected. `Err` when the expression is not a yes-or-no question for it.
    pub fn matches(&self, labels: &Labels, facts: &Facts) -> Result<bool, SelectorError> {
        let fault = |why: String| SelectorError { source_text: self.source.clone(), why };
        let mut context = cel::Context::default();
        context.add_variable("labels", labels.clone()).map_err(|e| fault(e.to_string()))?;
        let facts = cel::to_value(facts).map_err(|e| fault(e.to_string()))?;
        context.add_variable_from_value("facts", facts);
        match stacker::maybe_grow(self.stack, self.stack, || self.program.execute(&context)) {
            Ok(cel::Value::Bool(yes)) => Ok(yes),
            Ok(other) => Err(fault(format!("gives {:?}, not true or false", other.type_of()))),
            Err(cel::ExecutionError::NoSuchKey(_)) => Ok(false),
            Err(error) => Err(fault(error.to_string())),
        }
    }
}

/// Bytes of stack that an expression may take, or why it is refused.
fn stack_needed(source: &str) -> Result<usize, String> {
    let brackets = source.chars().filter(|c| "([{".contains(*c)).count();
    let symbols = source.chars().filter(|c| ".+-*/%?<>=!&|".contains(*c)).count();
    let operators = symbols + source.matches("in").count();
    if brackets > BRACKETS_MAX {
        return Err(format!(
            "more than {BRACKETS_MAX} brackets; give the clusters a label of their own"
        ));
    }
    if operators > OPERATORS_MAX {
        return Err(format!(
            "more than {OPERATORS_MAX} operators; give the clusters a label of their own"
        ));
    }
    Ok(BASE_STACK + brackets * BRACKET_STACK + operators * OPERATOR_STACK)
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Selector {}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({:?})", self.source)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectorError;
    fn try_from(text: String) -> Result<Self, SelectorError> {
        Self::parse(&text)
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, labels: &[(&str, &str)], expect: bool) {
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let facts = serde_json::json!({"kubernetes": {"minor": 31}});
        let selector = Selector::parse(source).unwrap();
        assert_eq!(selector.matches(&labels, &facts), Ok(expect), "{source}");
    }

    #[test]
    fn selects_by_labels_and_facts() {
        check("true", &[], true);
        check("labels.ring == 'canary'", &[("ring", "canary")], true);
        check("labels.ring == 'canary'", &[("ring", "prod")], false);
        check("labels.ring in ['a', 'b'] && facts.kubernetes.minor >= 29", &[("ring", "b")], true);
    }

    #[test]
    fn a_missing_label_never_matches() {
        check("labels.ring == 'canary'", &[], false);
        check("labels.ring != 'canary'", &[], false);
        check("!has(labels.ring)", &[], true);
        check("has(labels.ring) || labels.tier == 'x'", &[("tier", "x")], true);
    }

    #[test]
    fn a_typo_is_an_error_with_a_way_out() {
        let error = |s: &str| Selector::parse(s).unwrap_err().to_string();
        assert!(error("label.ring == 'x'").contains("use `labels.…` or `facts.…`"));
        assert!(error("").contains("write `true`"));
        assert!(error("labels.ring ==").contains("selector `labels.ring ==`"));
    }

    #[test]
    fn no_expression_overflows_the_stack() {
        let around = |a: &str, n: usize, b: &str| format!("{}true{}", a.repeat(n), b.repeat(n));
        let chain = |n: usize, link: &str| format!("labels{}", link.repeat(n));
        for n in [4, 32, 64, 65, 200, 256, 500, 512, 2000, 4000] {
            for text in [
                around("(", n, ")"),
                around("[", n, "]"),
                around("{1:", n, "}"),
                around("f(", n, ")"),
                around("((", n / 2, ")"),
                around("!", n, ""),
                around("-", n, ""),
                around("true?true:", n, ""),
                around("true?", n, ":true"),
                around("'(' in ", n, ""),
                chain(n, ".a"),
                chain(n, "[0]"),
                chain(n, ".f()"),
                chain(n, "+1"),
                chain(n, "&&true"),
                chain(n, " in\tlabels"),
                chain(n, "==1"),
            ] {
                if let Ok(selector) = Selector::parse(&text) {
                    selector.matches(&Labels::new(), &serde_json::json!({})).ok();
                }
            }
        }
        let error = Selector::parse(&around("(", 65, ")")).unwrap_err().to_string();
        assert!(error.contains("more than 64 brackets"), "{error}");
        let error = Selector::parse(&chain(513, "+1")).unwrap_err().to_string();
        assert!(error.contains("more than 512 operators"), "{error}");
        assert!(Selector::parse(&around("(", 64, ")")).is_ok());
        assert!(
            Selector::parse(&format!("labels.a == 'x'{}", " || labels.a == 'y'".repeat(100)))
                .is_ok()
        );
    }

    #[test]
    fn an_expression_that_is_no_question_is_an_error() {
        let selector = Selector::parse("labels.ring").unwrap();
        let labels = [("ring".to_owned(), "x".to_owned())].into();
        let error = selector.matches(&labels, &serde_json::json!({})).unwrap_err();
        assert!(error.to_string().contains("not true or false"), "{error}");
    }
}
