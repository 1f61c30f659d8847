//! Text and values with places in them that each cluster fills: `${labels.env}`, `${facts.kubernetes.minor}`,
//! `${cluster.name}`. What a cluster does not have is a fault, never an empty text. `$${` is a plain `${`.
//!
//! Deliberately absent: expressions, defaults, loops. A chart has its own language for those.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::{
    diagnostic::Position,
    fleet::Target,
    guard::{Guard, stands},
    yaml::{Node, Value},
};

/// Longest text, in bytes.
const TEXT_BYTES_MAX: usize = 256 << 10;

/// Text that may have places in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pieces: Vec<Piece>,
    pub(crate) at: Position,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Label(String),
    Fact(String),
    Name,
}

/// What a cluster lacks, and where it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lacking {
    /// `labels.env`.
    pub(crate) what: String,
    pub(crate) at: Position,
}

impl Text {
    /// Reads a text; the error says what is wrong with it.
    pub(crate) fn parse(text: &str, at: Position) -> Result<Text, String> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(format!("it is longer than {TEXT_BYTES_MAX} bytes"));
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            if let Some(before) = before.strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${");
                rest = after;
                continue;
            }
            literal.push_str(before);
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            let Some((place, after)) = after.split_once('}') else {
                return Err("`${` has no closing `}`; write `$${` for the characters".to_owned());
            };
            pieces.push(piece(place.trim())?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Text { pieces, at })
    }

    /// Whether it is the same for every cluster.
    pub(crate) fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Literal(_)))
    }

    /// The text for one cluster; `None` asks without a cluster.
    pub(crate) fn fill(&self, cluster: Option<Target<'_>>) -> Result<String, Lacking> {
        let mut out = String::new();
        for piece in &self.pieces {
            let value = self.value(piece, cluster)?;
            match value.as_str() {
                Some(text) => out.push_str(text),
                None => out.push_str(&value.to_string()),
            }
        }
        Ok(out)
    }

    /// As [`Text::fill`]; a text that is one place and nothing else keeps the type of the fact.
    fn fill_value(&self, cluster: Option<Target<'_>>) -> Result<Json, Lacking> {
        match self.pieces.as_slice() {
            [piece] => self.value(piece, cluster),
            _ => self.fill(cluster).map(Json::String),
        }
    }

    fn value(&self, piece: &Piece, cluster: Option<Target<'_>>) -> Result<Json, Lacking> {
        let lacking = |what: String| Lacking { what, at: self.at };
        let text = |text: &str| Json::String(text.to_owned());
        let found = match (piece, cluster) {
            (Piece::Literal(literal), _) => Some(text(literal)),
            (Piece::Label(label), Some(c)) => c.labels.get(label).map(|value| text(value)),
            (Piece::Fact(path), Some(c)) => {
                let pointer = format!("/{}", path.replace('.', "/"));
                c.facts.pointer(&pointer).filter(|fact| !fact.is_null()).cloned()
            }
            (Piece::Name, Some(c)) => Some(text(c.name.as_str())),
            (Piece::Label(_) | Piece::Fact(_) | Piece::Name, None) => None,
        };
        if found.is_none() && !stands(Guard::Places) {
            return Ok(text(""));
        }
        found.ok_or_else(|| match piece {
            Piece::Label(label) => lacking(format!("labels.{label}")),
            Piece::Fact(path) => lacking(format!("facts.{path}")),
            Piece::Name | Piece::Literal(_) => lacking("cluster.name".to_owned()),
        })
    }
}

fn piece(place: &str) -> Result<Piece, String> {
    let ok = |name: &str| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
    };
    match place.split_once('.') {
        Some(("labels", label)) if ok(label) => Ok(Piece::Label(label.to_owned())),
        Some(("facts", path)) if ok(path) => Ok(Piece::Fact(path.to_owned())),
        Some(("cluster", "name")) => Ok(Piece::Name),
        _ => Err(format!(
            "`${{{place}}}` is not known; write `${{labels.NAME}}`, `${{facts.PATH}}` or \
             `${{cluster.name}}`, or `$${{{place}}}` for the characters"
        )),
    }
}

/// Values of any form with texts in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values {
    /// No place in it.
    Fixed(Json),
    /// A text.
    Text(Text),
    /// A list.
    List(Vec<Values>),
    /// A map.
    Map(BTreeMap<String, Values>),
}

impl Values {
    /// Reads a node; the error says where and what is wrong.
    pub(crate) fn parse(node: &Node) -> Result<Values, (Position, String)> {
        Ok(match &node.value {
            Value::Null => Values::Fixed(Json::Null),
            Value::Bool(flag) => Values::Fixed(Json::Bool(*flag)),
            Value::Number(number) => Values::Fixed(Json::Number(number.clone())),
            Value::Text(text) => {
                Values::Text(Text::parse(text, node.at).map_err(|why| (node.at, why))?)
            }
            Value::List(items) => {
                Values::List(items.iter().map(Values::parse).collect::<Result<_, _>>()?)
            }
            Value::Map(entries) => {
                let pair = |entry: &crate::yaml::Entry| {
                    Ok((entry.key.clone(), Values::parse(&entry.value)?))
                };
                Values::Map(entries.iter().map(pair).collect::<Result<_, _>>()?)
            }
        })
    }

    /// Whether they are the same for every cluster.
    pub(crate) fn is_fixed(&self) -> bool {
        match self {
            Values::Fixed(_) => true,
            Values::Text(text) => text.is_fixed(),
            Values::List(items) => items.iter().all(Values::is_fixed),
            Values::Map(map) => map.values().all(Values::is_fixed),
        }
    }

    /// The values for one cluster.
    pub(crate) fn fill(&self, cluster: Option<Target<'_>>) -> Result<Json, Lacking> {
        Ok(match self {
            Values::Fixed(json) => json.clone(),
            Values::Text(text) => text.fill_value(cluster)?,
            Values::List(items) => {
                Json::Array(items.iter().map(|v| v.fill(cluster)).collect::<Result<_, _>>()?)
            }
            Values::Map(map) => {
                let pair =
                    |(key, value): (&String, &Values)| Ok((key.clone(), value.fill(cluster)?));
                Json::Object(map.iter().map(pair).collect::<Result<_, _>>()?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use model::{ClusterName, ClusterUid, Labels};
    use serde_json::json;

    use super::*;

    const AT: Position = Position { line: 1, column: 1 };

    fn filled(text: &str) -> Result<Json, Lacking> {
        let uid = ClusterUid::parse("00000000-0000-4000-8000-000000000001").unwrap();
        let name = ClusterName::parse("eu-1").unwrap();
        let labels: Labels = [("env".to_owned(), "prod".to_owned())].into();
        let facts = json!({"kubernetes": {"minor": 31}, "nodes": 3});
        let target = Target { uid: &uid, name: &name, labels: &labels, facts: &facts };
        Text::parse(text, AT).unwrap().fill_value(Some(target))
    }

    #[test]
    fn places_are_filled_and_a_lone_fact_keeps_its_type() {
        assert_eq!(filled("a-${labels.env}-${cluster.name}"), Ok(json!("a-prod-eu-1")));
        assert_eq!(filled("${facts.nodes}"), Ok(json!(3)));
        assert_eq!(filled("v1.${facts.kubernetes.minor}"), Ok(json!("v1.31")));
        assert_eq!(filled("$${HOME} costs $5"), Ok(json!("${HOME} costs $5")));
        assert_eq!(filled(""), Ok(json!("")));
    }

    #[test]
    fn what_is_missing_is_named_and_never_empty() {
        let what = |text| filled(text).unwrap_err().what;
        assert_eq!(what("x-${labels.tier}"), "labels.tier");
        assert_eq!(what("${facts.gpu.count}"), "facts.gpu.count");
        assert_eq!(
            Text::parse("${labels.env}", AT).unwrap().fill(None).unwrap_err().what,
            "labels.env"
        );
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in ["${HOME}", "${labels.}", "${labels.a b}", "${", "${cluster.uid}", "${env.X}"] {
            assert!(Text::parse(text, AT).is_err(), "{text}");
        }
    }
}
