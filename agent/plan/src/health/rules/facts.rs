//! What an expression may ask of one object: its fields, and short questions about its conditions.
//!
//! The questions never fail on a field that is absent, and a condition that is about an older generation
//! is neither true nor false to them. They remember what was asked last, so that a verdict can say why.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::super::view::View;
use super::super::words;

/// Most conditions that are looked at: more is no status, and every question walks over them.
const CONDITIONS_MAX: usize = 256;

/// One object, prepared for questions.
#[derive(Debug)]
pub(super) struct Facts {
    object: Value,
    conditions: Vec<Condition>,
    asked: Mutex<Asked>,
}

/// What was asked last.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Nothing,
    Flag,
    Condition(usize),
    Text { path: String, text: String },
}

/// A condition whose fields are all there.
#[derive(Debug, Clone, Serialize)]
struct Condition {
    r#type: String,
    /// `Unknown` when it is about an older generation.
    status: String,
    reason: String,
    /// `Error`, `Warning` or `Info`, where a kind has such a thing.
    severity: String,
    message: String,
}

impl Facts {
    /// Takes what rules may ask; leaves out who wrote which field, half of an object's bytes.
    pub(super) fn of(view: View<'_>, believe_old: bool) -> Facts {
        let mut object = serde_json::Map::new();
        for (key, value) in view.object.as_object().into_iter().flatten() {
            object.insert(key.clone(), if key == "metadata" { slim(value) } else { value.clone() });
        }
        let generation = if believe_old { i64::MIN } else { view.generation() };
        let list = view.at("/status/conditions").and_then(Value::as_array);
        let conditions = list.into_iter().flatten().take(CONDITIONS_MAX);
        let conditions = conditions.map(|c| condition(c, generation)).collect();
        Facts { object: Value::Object(object), conditions, asked: Mutex::new(Asked::Nothing) }
    }

    /// Whether its controller has written nothing yet.
    pub(super) fn lacks_status(&self) -> bool {
        match self.object.get("status") {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Null) | None => true,
            Some(_) => false,
        }
    }

    /// Length of the longest list or map in it.
    pub(super) fn widest(&self) -> u64 {
        fn widest(value: &Value) -> usize {
            match value {
                Value::Array(items) => items.iter().map(widest).max().unwrap_or(0).max(items.len()),
                Value::Object(map) => map.values().map(widest).max().unwrap_or(0).max(map.len()),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
            }
        }
        u64::try_from(widest(&self.object)).unwrap_or(u64::MAX)
    }

    /// A top-level field as the language sees it; an empty map when absent.
    pub(super) fn variable(&self, name: &str) -> Result<cel::Value, String> {
        let empty = Value::Object(serde_json::Map::new());
        let made = match name {
            "self" | "object" => cel::to_value(Signed(&self.object)),
            "conditions" => cel::to_value(&self.conditions),
            name => cel::to_value(Signed(
                self.object.get(name).filter(|v| !v.is_null()).unwrap_or(&empty),
            )),
        };
        made.map_err(|error| error.to_string())
    }

    /// Forgets what was asked.
    pub(super) fn quiet(&self) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Asked::Nothing;
    }

    fn remember(&self, asked: Asked) {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = asked;
    }

    fn find(&self, kind: &str) -> Option<&Condition> {
        let at = self.conditions.iter().position(|c| c.r#type == kind)?;
        self.remember(Asked::Condition(at));
        self.conditions.get(at)
    }

    fn has(&self, kind: &str, status: &str) -> bool {
        self.find(kind).is_some_and(|c| c.status == status)
    }

    fn any(&self, kinds: &[cel::Value], status: &str) -> bool {
        let at = self.conditions.iter().position(|c| c.status == status && named(kinds, &c.r#type));
        if let Some(at) = at {
            self.remember(Asked::Condition(at));
        }
        at.is_some()
    }

    fn at(&self, path: &str) -> Option<&Value> {
        if path.starts_with('/') {
            return self.object.pointer(path);
        }
        path.split('.').try_fold(&self.object, |value, part| match value {
            Value::Object(map) => map.get(part),
            Value::Array(list) => list.get(part.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }

    fn text(&self, path: &str) -> String {
        let text = match self.at(path) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
        };
        if !text.is_empty() {
            self.remember(Asked::Text { path: path.to_owned(), text: text.clone() });
        }
        text
    }

    fn number(&self, path: &str) -> Option<i64> {
        #[expect(clippy::cast_possible_truncation, reason = "counts; a fraction of one is none")]
        let whole = |float: f64| float as i64;
        match self.at(path) {
            Some(Value::Number(n)) => n.as_i64().or_else(|| n.as_f64().map(whole)),
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => None,
        }
    }

    /// A plain yes. One of the status is the object's own word.
    fn flag(&self, path: &str) -> bool {
        let yes = self.at(path).is_some_and(|v| v == &Value::Bool(true) || v == "true");
        if yes && path.starts_with("status.") {
            self.remember(Asked::Flag);
        }
        yes
    }

    /// Adds the questions to what an expression may call.
    pub(super) fn teach(self: &Arc<Self>, context: &mut cel::Context<'_, '_>) {
        type Kinds = Arc<Vec<cel::Value>>;
        macro_rules! teach {
            ($name:literal, |$facts:ident, $argument:ident: $type:ty| $body:expr) => {
                let $facts = Arc::clone(self);
                // Fails only for a name that the language has taken: a test calls each.
                drop(context.add_function($name, move |$argument: $type| $body));
            };
        }
        teach!("is", |facts, kind: Arc<String>| facts.has(&kind, "True"));
        teach!("isNot", |facts, kind: Arc<String>| facts.has(&kind, "False"));
        teach!("unsure", |facts, kind: Arc<String>| {
            facts.find(&kind).is_none_or(|c| c.status == "Unknown")
        });
        teach!("known", |facts, kind: Arc<String>| facts.find(&kind).is_some());
        teach!("why", |facts, kind: Arc<String>| {
            facts.find(&kind).map(|c| c.reason.clone()).unwrap_or_default()
        });
        teach!("severity", |facts, kind: Arc<String>| {
            facts.find(&kind).map(|c| c.severity.clone()).unwrap_or_default()
        });
        teach!("said", |facts, kind: Arc<String>| {
            facts.find(&kind).map(|c| c.message.clone()).unwrap_or_default()
        });
        teach!("anyIs", |facts, kinds: Kinds| facts.any(&kinds, "True"));
        teach!("anyIsNot", |facts, kinds: Kinds| facts.any(&kinds, "False"));
        teach!("allAre", |facts, kinds: Kinds| {
            kinds.iter().all(|k| matches!(k, cel::Value::String(k) if facts.has(k, "True")))
        });
        teach!("text", |facts, path: Arc<String>| facts.text(&path));
        teach!("annotation", |facts, key: Arc<String>| {
            let annotations = facts.at("metadata.annotations");
            let text = annotations.and_then(|a| a.get(key.as_str())).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        });
        teach!("low", |facts, path: Arc<String>| facts.text(&path).to_lowercase());
        teach!("num", |facts, path: Arc<String>| facts.number(&path).unwrap_or(0));
        let facts = Arc::clone(self);
        drop(context.add_function("numOr", move |path: Arc<String>, absent: i64| {
            facts.number(&path).unwrap_or(absent)
        }));
        teach!("flag", |facts, path: Arc<String>| facts.flag(&path));
        teach!("filled", |facts, path: Arc<String>| facts.at(&path).is_some_and(filled));
    }

    /// Whether what was asked last is false for a reason that says that it is being worked on.
    pub(super) fn is_under_way(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Asked::Condition(at) = asked else { return false };
        self.conditions.get(at).is_some_and(|c| {
            c.status == "False" && words::busy(&c.reason) && !words::bad(&c.reason)
        })
    }

    /// Whether nothing that was asked last said yes: no condition that is true, no text, no flag.
    pub(super) fn heard_nothing(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        match &*asked {
            Asked::Nothing => true,
            Asked::Condition(at) => self.conditions.get(*at).is_none_or(|c| c.status != "True"),
            Asked::Flag | Asked::Text { .. } => false,
        }
    }

    /// The object's own words about what was asked last, else about whatever is wrong.
    pub(super) fn words(&self) -> String {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let status = |name: &str| {
            let text = self.object.get("status").and_then(|s| s.get(name)).and_then(Value::as_str);
            text.filter(|text| !text.is_empty())
        };
        let more = ["message", "errorMessage", "error", "failureMessage", "reason"];
        let more = more.iter().find_map(|name| status(name));
        match asked {
            Asked::Condition(at) => self.conditions.get(at).map(Condition::say).unwrap_or_default(),
            Asked::Text { path, text } => {
                let name = path.rsplit(['.', '/']).next().unwrap_or_default();
                match more.filter(|more| **more != text) {
                    Some(more) => format!("{name} {text}: {more}"),
                    None => format!("{name} {text}"),
                }
            }
            Asked::Flag | Asked::Nothing => {
                let wrong = self.conditions.iter().find(|c| c.status == "False");
                wrong.map(Condition::say).or(more.map(str::to_owned)).unwrap_or_default()
            }
        }
    }
}

fn named(kinds: &[cel::Value], kind: &str) -> bool {
    kinds.iter().any(|k| matches!(k, cel::Value::String(k) if k.as_str() == kind))
}

fn filled(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
        Value::Null => false,
    }
}

/// Metadata without `managedFields`.
fn slim(metadata: &Value) -> Value {
    let Value::Object(map) = metadata else { return metadata.clone() };
    let kept = map.iter().filter(|(key, _)| *key != "managedFields");
    Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
}

fn condition(value: &Value, generation: i64) -> Condition {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let observed = value.get("observedGeneration").and_then(Value::as_i64).filter(|g| *g > 0);
    let status = match value.get("status") {
        _ if observed.is_some_and(|observed| observed < generation) => "Unknown",
        Some(Value::Bool(true)) => "True",
        Some(Value::Bool(false)) => "False",
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => "True",
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => "False",
        _ => "Unknown",
    };
    let status = status.to_owned();
    Condition {
        r#type: text("type"),
        status,
        reason: text("reason"),
        severity: text("severity"),
        message: text("message"),
    }
}

impl Condition {
    /// `Ready=False (Reason): message`.
    fn say(&self) -> String {
        let mut out = format!("{}={}", self.r#type, self.status);
        if !self.reason.is_empty() {
            out.push_str(&format!(" ({})", self.reason));
        }
        if !self.message.is_empty() {
            out.push_str(&format!(": {}", self.message));
        }
        out
    }
}

/// Whole numbers as signed ones: the language has two kinds of whole number, and people compare with
/// only one of them.
struct Signed<'a>(&'a Value);

impl Serialize for Signed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Number(number) => match number.as_i64() {
                Some(whole) => serializer.serialize_i64(whole),
                None => number.serialize(serializer),
            },
            Value::Array(items) => serializer.collect_seq(items.iter().map(Signed)),
            Value::Object(map) => serializer.collect_map(map.iter().map(|(k, v)| (k, Signed(v)))),
            Value::Null | Value::Bool(_) | Value::String(_) => self.0.serialize(serializer),
        }
    }
}
