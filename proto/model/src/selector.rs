//! Which clusters: a CEL expression over hub-side labels and agent-reported facts.
//!
//! A label that a cluster does not carry makes the whole expression *not match* (never an error and
//! never a match): a typo must not widen a selection. Use `has(labels.x)` to ask for presence.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::expression::Expression;

/// Hub-side labels of a cluster; the only ground for placement unless an expression says `facts.`.
pub type Labels = BTreeMap<String, String>;

/// What the agent says of its cluster; a JSON object. Kept apart from labels because an agent may lie.
pub type Facts = serde_json::Value;

/// What an expression may ask for, and of these what has fields of text only.
const VARIABLES: &[&str] = &["labels", "facts"];
const TEXTS: &[&str] = &["labels"];

/// A compiled expression. Equal when the text is equal.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector(Expression);

/// Why a text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("selector `{source_text}`: {why}")]
pub struct SelectorError {
    source_text: String,
    why: String,
}

impl Selector {
    /// Compiles; refuses a name other than `labels` and `facts` and what never gives true or false, so
    /// that a typo shows at lint time.
    pub fn parse(source: &str) -> Result<Selector, SelectorError> {
        Selector::made_of(source, |source| Expression::parse(source, VARIABLES, TEXTS))
    }

    fn made_of(
        source: &str,
        compile: impl FnOnce(&str) -> Result<Expression, String>,
    ) -> Result<Selector, SelectorError> {
        let fault = |why: String| SelectorError { source_text: source.to_owned(), why };
        if source.trim().is_empty() {
            return Err(fault("empty; write `true` to select every cluster".to_owned()));
        }
        compile(source).map(Selector).map_err(fault)
    }

    /// The text it was made of.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the expression looks at agent-reported facts.
    pub fn uses_facts(&self) -> bool {
        self.0.uses("facts")
    }

    /// Whether a cluster is selected. `Err` when the expression is not a yes-or-no question for it.
    pub fn matches(&self, labels: &Labels, facts: &Facts) -> Result<bool, SelectorError> {
        let text = |value: &String| serde_json::Value::String(value.clone());
        let labels = labels.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let labels = serde_json::Value::Object(labels);
        let answer = self.0.ask(&[("labels", &labels), ("facts", facts)]);
        answer.map_err(|why| SelectorError { source_text: self.as_str().to_owned(), why })
    }
}

impl fmt::Debug for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Selector({:?})", self.as_str())
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// For what is stored: an older Tidegate may have taken what is refused today.
impl TryFrom<String> for Selector {
    type Error = SelectorError;
    fn try_from(text: String) -> Result<Self, SelectorError> {
        Self::made_of(&text, |source| Expression::compile(source, VARIABLES))
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.as_str().to_owned()
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
    fn what_never_gives_an_answer_is_refused_before_any_cluster_is_asked() {
        for (text, what) in [
            ("labels.ring", "a text"),
            ("labels['ring']", "a text"),
            ("labels", "a map"),
            ("'canary'", "a text"),
            ("1 + 1", "a sum"),
            ("size(labels)", "a number"),
            ("labels.ring && labels.tier == 'x'", "a text"),
            ("!labels.ring", "a text"),
            ("true ? labels.ring : labels.tier", "a text"),
            ("string(facts.nodes)", "a text"),
            ("{}", "a map"),
            ("null", "nothing"),
        ] {
            let error = Selector::parse(text).expect_err(text).to_string();
            assert!(error.ends_with(&format!("gives {what}, not true or false")), "{error}");
        }
        for text in [
            "facts.gpu",
            "has(labels.ring) && facts.gpu",
            "labels.ring.startsWith('c') ? true : facts.gpu",
            "labels.ring.matches('^c')",
        ] {
            Selector::parse(text).expect(text);
        }
    }

    #[test]
    fn what_was_stored_before_is_read_and_answers_with_an_error() {
        let selector: Selector = serde_json::from_str("\"labels.ring\"").unwrap();
        let labels = [("ring".to_owned(), "x".to_owned())].into();
        let error = selector.matches(&labels, &serde_json::json!({})).unwrap_err();
        assert!(error.to_string().contains("not true or false"), "{error}");
    }
}
