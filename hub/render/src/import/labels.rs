//! Label selectors of Kubernetes as expressions over the labels of a cluster.

use crate::{
    canonical,
    yaml::{Node, Value},
};

/// `labels.env`, or `labels['a/b']` when the key is no name of CEL.
pub(super) fn label(key: &str) -> String {
    let name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let plain = key.chars().all(name) && key.starts_with(|c: char| c.is_ascii_alphabetic());
    if plain { format!("labels.{key}") } else { format!("labels[{}]", quoted(key)) }
}

/// A text of CEL.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A selector with `matchLabels` and `matchExpressions`; an empty one selects everything. `Err` names an operator
/// that Kubernetes does not have. Guarded, it may stand behind a `!` and beside a `||`: a label that is missing makes
/// it false. Without that it makes the whole expression not match.
fn expression(node: &Node, guarded: bool) -> Result<String, String> {
    let mut parts = Vec::new();
    let guard =
        |key: &str| if guarded { format!("{} in labels && ", quoted(key)) } else { String::new() };
    if let Some(Node { value: Value::Map(entries), .. }) = node.get("matchLabels") {
        for entry in entries {
            let (key, value) = (&entry.key, quoted(&word(&entry.value)));
            parts.push(format!("{}{} == {value}", guard(key), label(key)));
        }
    }
    for expression in super::list(node.get("matchExpressions")) {
        let key = super::text(expression, &["key"]).unwrap_or_default();
        let operator = super::text(expression, &["operator"]).unwrap_or_default();
        let values = super::list(expression.get("values")).iter();
        let values = values.map(|value| quoted(&word(value))).collect::<Vec<_>>().join(", ");
        let (label, there) = (label(key), format!("{} in labels", quoted(key)));
        parts.push(match operator {
            "In" => format!("{}{label} in [{values}]", guard(key)),
            // A cluster that lacks the label is selected too.
            "NotIn" => format!("(!({there}) || !({label} in [{values}]))"),
            "Exists" => there,
            "DoesNotExist" => format!("!({there})"),
            other => return Err(other.to_owned()),
        });
    }
    Ok(if parts.is_empty() { "true".to_owned() } else { parts.join(" && ") })
}

/// A value of a label as text; people write `true` and `1` without quotes.
fn word(node: &Node) -> String {
    match node.text() {
        Some(text) => text.to_owned(),
        None => canonical::json(node).to_string(),
    }
}

/// One of them holds; each plainly and guarded. The guarded ones stand side by side: a label that one of them misses
/// says nothing about the next.
pub(super) fn either(all: &[(String, String)]) -> String {
    match all {
        [] => "true".to_owned(),
        [(plain, _)] => plain.clone(),
        many if many.iter().any(|(plain, _)| plain == "true") => "true".to_owned(),
        many => many.iter().map(|(_, one)| format!("({one})")).collect::<Vec<_>>().join(" || "),
    }
}

/// A selector plainly and guarded.
pub(super) fn both(node: &Node) -> Result<(String, String), String> {
    Ok((expression(node, false)?, expression(node, true)?))
}

/// A label that says yes, plainly and guarded.
pub(super) fn yes(key: &str) -> (String, String) {
    let plain = format!("{} == 'yes'", label(key));
    let guarded = format!("{} in labels && {plain}", quoted(key));
    (plain, guarded)
}

/// It holds, and none of the earlier ones (guarded) did: the first that fits wins there, all that fit are taken here.
pub(super) fn first(of: &str, earlier: &[String]) -> String {
    let not = earlier.iter().map(|one| format!("!({one})")).collect::<Vec<_>>().join(" && ");
    if not.is_empty() { of.to_owned() } else { format!("({of}) && {not}") }
}
