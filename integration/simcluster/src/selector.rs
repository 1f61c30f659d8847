//! Label and field selectors, read from a query and matched against an object.

use crate::status::Status;
use serde_json::Value;

#[derive(Clone, Debug, Default)]
pub(crate) struct Selector {
    labels: Vec<(String, Need)>,
    fields: Vec<(String, bool, String)>,
}

#[derive(Clone, Debug, PartialEq)]
enum Need {
    Exists,
    Absent,
    In(Vec<String>),
    NotIn(Vec<String>),
}

impl Selector {
    pub(crate) fn parse(labels: &str, fields: &str) -> Result<Selector, Status> {
        let mut selector = Selector::default();
        for term in split_outside_braces(labels) {
            selector.labels.push(label_term(term)?);
        }
        for term in fields.split(',').filter(|term| !term.is_empty()) {
            let (name, equal, value) = if let Some((name, value)) = term.split_once("!=") {
                (name, false, value)
            } else if let Some((name, value)) = term.split_once('=') {
                (name, true, value.trim_start_matches('='))
            } else {
                return Err(Status::bad_request(format!("invalid field selector: {term}")));
            };
            if pointer_of(name).is_none() {
                let text = format!(
                    "\"{name}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
                );
                return Err(Status::bad_request(text));
            }
            selector.fields.push((name.to_owned(), equal, value.to_owned()));
        }
        Ok(selector)
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let label = |name: &str| labels.get(name).and_then(Value::as_str);
        let labels_fit = self.labels.iter().all(|(name, need)| match need {
            Need::Exists => label(name).is_some(),
            Need::Absent => label(name).is_none(),
            Need::In(values) => label(name).is_some_and(|v| values.iter().any(|x| x == v)),
            Need::NotIn(values) => !label(name).is_some_and(|v| values.iter().any(|x| x == v)),
        });
        labels_fit
            && self.fields.iter().all(|(name, equal, value)| {
                let found = pointer_of(name)
                    .and_then(|pointer| object.pointer(pointer))
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                (found == value) == *equal
            })
    }
}

/// The field selectors that are served: the two every kind has, and the usual ones of pods and events.
fn pointer_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "metadata.name" => "/metadata/name",
        "metadata.namespace" => "/metadata/namespace",
        "spec.nodeName" => "/spec/nodeName",
        "status.phase" => "/status/phase",
        "type" => "/type",
        "reason" => "/reason",
        "involvedObject.name" => "/involvedObject/name",
        "involvedObject.kind" => "/involvedObject/kind",
        "involvedObject.uid" => "/involvedObject/uid",
        "involvedObject.namespace" => "/involvedObject/namespace",
        _ => return None,
    })
}

fn split_outside_braces(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|term| !term.is_empty())
    .collect()
}

fn label_term(term: &str) -> Result<(String, Need), Status> {
    let own = |text: &str| text.trim().to_owned();
    if let Some((name, value)) = term.split_once("!=") {
        return Ok((own(name), Need::NotIn(vec![own(value)])));
    }
    if let Some((name, value)) = term.split_once('=') {
        if value.trim_start_matches('=').contains('=') {
            return Err(Status::bad_request("found '=', expected: ',' or 'end of string'"));
        }
        return Ok((own(name), Need::In(vec![own(value.trim_start_matches('='))])));
    }
    if let Some(name) = term.strip_prefix('!') {
        return Ok((own(name), Need::Absent));
    }
    if let Some((head, list)) = term.split_once('(') {
        let values = list.trim_end_matches(')').split(',').map(own).collect();
        let mut words = head.split_whitespace();
        return match (words.next(), words.next(), words.next()) {
            (Some(name), Some("in"), None) => Ok((own(name), Need::In(values))),
            (Some(name), Some("notin"), None) => Ok((own(name), Need::NotIn(values))),
            _ => Err(Status::bad_request(format!("unable to parse requirement: {term}"))),
        };
    }
    if term.contains(char::is_whitespace) {
        return Err(Status::bad_request(format!("unable to parse requirement: {term}")));
    }
    Ok((own(term), Need::Exists))
}

/// Does a workload's `selector` (matchLabels and matchExpressions) pick these labels?
pub(crate) fn picks(selector: &Value, labels: &Value) -> bool {
    let label = |name: &str| labels.get(name).and_then(Value::as_str);
    let wanted = selector.get("matchLabels").and_then(Value::as_object);
    let all = wanted
        .into_iter()
        .flatten()
        .all(|(name, value)| label(name) == value.as_str() && value.is_string());
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    all && expressions.into_iter().flatten().all(|expression| {
        let found = label(expression["key"].as_str().unwrap_or_default());
        let listed = |value: &str| {
            let values = expression["values"].as_array();
            values.into_iter().flatten().any(|item| item == value)
        };
        match expression["operator"].as_str().unwrap_or_default() {
            "In" => found.is_some_and(listed),
            "NotIn" => !found.is_some_and(listed),
            "Exists" => found.is_some(),
            "DoesNotExist" => found.is_none(),
            _ => false,
        }
    })
}
