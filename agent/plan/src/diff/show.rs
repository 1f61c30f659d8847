//! Values as they may be seen: those of Secrets, and of environment variables that sound like one, are
//! replaced by their length and a keyed mark, which tells "changed" from "unchanged" and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::keyed::Key;

/// A full copy of the object, as client-side apply leaves it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Parts of names of environment variables whose values are not shown.
const SENSITIVE: &[&str] = &["pass", "token", "secret", "key", "credential", "pwd"];

/// Makes values fit to be seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// For the keyed marks.
    pub(crate) key: &'a Key,
    /// Whether the object is a Secret.
    pub(crate) secret: bool,
    /// Show everything: a bug on purpose.
    pub(crate) bare: bool,
}

impl Shown<'_> {
    /// The value at `names` (field names from the root) as it may be seen. `env` is the name of the
    /// environment variable that it belongs to.
    pub(crate) fn value(&self, names: &[String], env: Option<&str>, value: &Value) -> Value {
        if self.bare {
            return value.clone();
        }
        let name = names.last().map_or("", String::as_str);
        let in_data = names.first().is_some_and(|n| n == "data" || n == "stringData");
        if self.secret && in_data {
            return self.hide_all(value, names[0] == "data");
        }
        if name == LAST_APPLIED {
            return self.hide_all(value, false);
        }
        if name == "value" && env.is_some_and(is_sensitive) {
            return self.hide_all(value, false);
        }
        match value {
            Value::Object(map) => {
                let own = map.get("name").and_then(Value::as_str);
                let inner = map.iter().map(|(field, below)| {
                    let mut at = names.to_vec();
                    at.push(field.clone());
                    (field.clone(), self.value(&at, own.or(env), below))
                });
                Value::Object(inner.collect())
            }
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.value(names, env, item)).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
        }
    }

    /// The same shape with every text replaced.
    fn hide_all(&self, value: &Value, encoded: bool) -> Value {
        match value {
            Value::Object(map) => Value::Object(
                map.iter()
                    .map(|(name, below)| (name.clone(), self.hide_all(below, encoded)))
                    .collect(),
            ),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.hide_all(item, encoded)).collect())
            }
            Value::Null => Value::Null,
            Value::String(text) => {
                let decoded = encoded.then(|| STANDARD.decode(text).ok()).flatten();
                self.mark(&decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
            }
            Value::Bool(_) | Value::Number(_) => self.mark(value.to_string().as_bytes()),
        }
    }

    fn mark(&self, bytes: &[u8]) -> Value {
        let mac = self.key.mac(&[b"shown", bytes]);
        Value::from(format!("«redacted len={} hmac={}»", bytes.len(), hex::encode(&mac[..4])))
    }
}

fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SENSITIVE.iter().any(|part| name.contains(part))
}
