//! Reading a live object: short names for what every rule asks.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::HealthContext;

/// A live object and what is known beside it.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) object: &'a Value,
    pub(super) context: &'a HealthContext,
}

/// One entry of `status.conditions`.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a>(&'a Value);

impl<'a> View<'a> {
    pub(super) fn at(&self, pointer: &str) -> Option<&'a Value> {
        self.object.pointer(pointer)
    }

    pub(super) fn text(&self, pointer: &str) -> &'a str {
        self.at(pointer).and_then(Value::as_str).unwrap_or("")
    }

    /// A count, 0 when absent: that is how the API leaves out zeros.
    pub(super) fn count(&self, pointer: &str) -> i64 {
        self.at(pointer).and_then(Value::as_i64).unwrap_or(0)
    }

    /// `spec.replicas`, 1 when absent.
    pub(super) fn replicas(&self) -> i64 {
        self.at("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
    }

    pub(super) fn flag(&self, pointer: &str) -> bool {
        self.at(pointer).and_then(Value::as_bool).unwrap_or(false)
    }

    pub(super) fn filled(&self, pointer: &str) -> bool {
        match self.at(pointer) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            Some(Value::Bool(_) | Value::Number(_)) => true,
            Some(Value::Null) | None => false,
        }
    }

    pub(super) fn generation(&self) -> i64 {
        self.count("/metadata/generation")
    }

    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition<'a>> + use<'a> {
        conditions(self.at("/status/conditions"))
    }

    pub(super) fn condition(&self, kind: &str) -> Option<Condition<'a>> {
        self.conditions().find(|c| c.kind() == kind)
    }

    /// How long ago the cluster wrote a time; `None` when it is no time. A time ahead of our clock is
    /// "just now".
    pub(super) fn since(&self, time: &str) -> Option<Duration> {
        age(time, self.context.now?)
    }

    /// Whether no time is known, and the object alone decides.
    pub(super) fn timeless(&self) -> bool {
        self.context.now.is_none()
    }

    /// Time since our last write, or since the object was made.
    pub(super) fn age(&self) -> Option<Duration> {
        self.context.since_apply.or_else(|| self.since(self.text("/metadata/creationTimestamp")))
    }
}

/// Conditions of a list.
pub(super) fn conditions(list: Option<&Value>) -> impl Iterator<Item = Condition<'_>> {
    list.and_then(Value::as_array).into_iter().flatten().map(Condition)
}

/// How long before `now`.
pub(super) fn age(time: &str, now: Timestamp) -> Option<Duration> {
    let time: Timestamp = time.parse().ok()?;
    Some(Duration::try_from(now.duration_since(time)).unwrap_or(Duration::ZERO))
}

impl<'a> Condition<'a> {
    fn text(self, name: &str) -> &'a str {
        self.0.get(name).and_then(Value::as_str).unwrap_or("")
    }

    pub(super) fn kind(self) -> &'a str {
        self.text("type")
    }

    pub(super) fn is_true(self) -> bool {
        self.text("status") == "True"
    }

    pub(super) fn is_false(self) -> bool {
        self.text("status") == "False"
    }

    pub(super) fn reason(self) -> &'a str {
        self.text("reason")
    }

    pub(super) fn since(self) -> &'a str {
        self.text("lastTransitionTime")
    }

    /// Whether it is about an older generation.
    pub(super) fn is_stale(self, generation: i64) -> bool {
        self.observed().is_some_and(|observed| observed < generation)
    }

    /// The generation it is about; zero is what some controllers write for "not told".
    pub(super) fn observed(self) -> Option<i64> {
        self.0.get("observedGeneration").and_then(Value::as_i64).filter(|observed| *observed > 0)
    }

    /// `Ready=False (Reason): message`.
    pub(super) fn say(self) -> String {
        let reason = match self.reason() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        let message = match self.text("message") {
            "" => String::new(),
            message => format!(": {message}"),
        };
        format!("{}={}{reason}{message}", self.kind(), self.text("status"))
    }

    pub(super) fn message(self) -> &'a str {
        self.text("message")
    }
}
