//! Reading a map field by field, collecting every fault instead of stopping at the first.

use std::time::Duration;

use model::Reason;
use rollout::Amount;

use crate::{
    diagnostic::{Diagnostic, Position},
    limits,
    yaml::{Entry, Node, Value, clip},
};

/// Longest duration that may be written: 30 days. A longer one is a slip, and would look like a hang.
const DURATION_MAX: Duration = Duration::from_hours(30 * 24);

/// Entries of one list that a person writes by hand.
const TEXTS_MAX: usize = 64;

/// Faults of one file, in the order found.
pub(crate) struct Faults<'a> {
    file: &'a str,
    list: Vec<Diagnostic>,
}

impl<'a> Faults<'a> {
    pub(crate) fn new(file: &'a str) -> Faults<'a> {
        Faults { file, list: Vec::new() }
    }

    /// A wrong field.
    pub(crate) fn wrong(&mut self, at: Position, message: impl Into<String>, hint: &str) {
        self.push(Diagnostic::error(Reason::AppInvalid, self.file, message).at(at).hint(hint));
    }

    /// A field that is known and cannot be carried out.
    pub(crate) fn later(&mut self, at: Position, what: &str) {
        let message = format!("{what} is not supported yet");
        self.push(Diagnostic::error(Reason::NotSupportedYet, self.file, message).at(at));
    }

    pub(crate) fn push(&mut self, fault: Diagnostic) {
        if self.list.len() < limits::DIAGNOSTICS_MAX {
            self.list.push(fault);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn into_list(mut self) -> Vec<Diagnostic> {
        self.list.sort_by_key(|fault| fault.position);
        self.list
    }
}

/// A map that is being read.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    pub(crate) at: Position,
    /// Where in the document, such as `spec.rollout.waves[1]`; empty at the top.
    path: String,
}

impl<'a> Fields<'a> {
    /// Opens `node`; a fault when it is no map.
    pub(crate) fn open(node: &'a Node, path: String, faults: &mut Faults<'_>) -> Option<Self> {
        if let Value::Map(entries) = &node.value {
            return Some(Fields { entries, at: node.at, path });
        }
        let whole = if path.is_empty() { "the file".to_owned() } else { format!("`{path}`") };
        let message = format!("{whole} must be a map, but is {}", node.what());
        faults.wrong(node.at, message, "write its fields below it, indented");
        None
    }

    /// A map that may be there.
    pub(crate) fn section(&self, key: &str, faults: &mut Faults<'_>) -> Option<Fields<'a>> {
        Fields::open(self.get(key)?, self.name(key), faults)
    }

    /// A map that must be there.
    pub(crate) fn need_section(
        &self,
        key: &str,
        hint: &str,
        faults: &mut Faults<'_>,
    ) -> Option<Fields<'a>> {
        Fields::open(self.need(key, hint, faults)?, self.name(key), faults)
    }

    /// Where in the document.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Full name of a field.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// A fault for every field that is in neither list; fields of the second are refused as such.
    pub(crate) fn only(&self, known: &[&str], later: &[&str], faults: &mut Faults<'_>) {
        for entry in self.entries {
            let key = entry.key.as_str();
            if known.contains(&key) {
                continue;
            }
            if later.contains(&key) {
                faults.later(entry.at, &format!("`{}`", self.name(key)));
                continue;
            }
            let message = match self.path.as_str() {
                "" => format!("unknown field `{}`", clip(key)),
                path => format!("unknown field `{}` in `{path}`", clip(key)),
            };
            faults.wrong(entry.at, message, &suggest(key, known, later));
        }
    }

    /// All fields, for a map whose keys are free.
    pub(crate) fn entries(&self) -> &'a [Entry] {
        self.entries
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|e| e.key == key).map(|e| &e.value)
    }

    /// As [`Fields::get`], with a fault when it is absent.
    pub(crate) fn need(&self, key: &str, hint: &str, faults: &mut Faults<'_>) -> Option<&'a Node> {
        let found = self.get(key);
        if found.is_none() {
            faults.wrong(self.at, format!("`{}` is missing", self.name(key)), hint);
        }
        found
    }

    /// A text.
    pub(crate) fn text(&self, key: &str, faults: &mut Faults<'_>) -> Option<(&'a str, Position)> {
        let node = self.get(key)?;
        if let Some(text) = node.text() {
            return Some((text, node.at));
        }
        self.mismatch(key, node, "text", "put it in quotes", faults);
        None
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&self, key: &str, faults: &mut Faults<'_>) -> Option<u32> {
        let node = self.get(key)?;
        let number = whole(node);
        if number.is_none() {
            self.mismatch(key, node, "a whole number", "write a number such as `1`", faults);
        }
        number
    }

    pub(crate) fn flag(&self, key: &str, faults: &mut Faults<'_>) -> Option<bool> {
        let node = self.get(key)?;
        if let Value::Bool(flag) = node.value {
            return Some(flag);
        }
        self.mismatch(key, node, "`true` or `false`", "write `true` or `false`", faults);
        None
    }

    /// A duration such as `30m`.
    pub(crate) fn duration(&self, key: &str, faults: &mut Faults<'_>) -> Option<Duration> {
        let node = self.get(key)?;
        let hint = "write it as `90s`, `30m`, `1h30m` or `72h`";
        let parsed = node.text().and_then(|text| text.parse::<jiff::SignedDuration>().ok());
        let Some(duration) = parsed.and_then(|d| Duration::try_from(d).ok()) else {
            self.mismatch(key, node, "a duration", hint, faults);
            return None;
        };
        if duration > DURATION_MAX {
            let message = format!("`{}` is longer than 30 days (720h)", self.name(key));
            faults.wrong(node.at, message, "write a shorter duration");
            return None;
        }
        Some(duration)
    }

    /// As [`Fields::duration`], but not zero.
    pub(crate) fn time(&self, key: &str, faults: &mut Faults<'_>) -> Option<Duration> {
        let duration = self.duration(key, faults)?;
        if duration.is_zero() {
            let at = self.get(key).map_or(self.at, |node| node.at);
            let message = format!("`{}` is zero, so nothing could ever succeed", self.name(key));
            faults.wrong(at, message, "write a duration such as `15m`, or remove the field");
            return None;
        }
        Some(duration)
    }

    /// `2` or `10%`.
    pub(crate) fn amount(&self, key: &str, faults: &mut Faults<'_>) -> Option<Amount> {
        amount(self.get(key)?, &self.name(key), faults)
    }

    /// Texts, one or a list of them.
    pub(crate) fn texts(&self, key: &str, faults: &mut Faults<'_>) -> Vec<(&'a str, Position)> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let items = match &node.value {
            Value::List(items) => items.iter().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) | Value::Map(_) => {
                vec![node]
            }
        };
        if items.len() > TEXTS_MAX {
            let message =
                format!("`{}` has {} entries, at most {TEXTS_MAX}", self.name(key), items.len());
            faults.wrong(node.at, message, "write fewer");
        }
        let mut texts = Vec::new();
        for item in items.into_iter().take(TEXTS_MAX) {
            match item.text() {
                Some(text) => texts.push((text, item.at)),
                None => self.mismatch(key, item, "text", "put it in quotes", faults),
            }
        }
        texts
    }

    /// Maps in a list, each with its name.
    pub(crate) fn maps(&self, key: &str, hint: &str, faults: &mut Faults<'_>) -> Vec<Fields<'a>> {
        let Some(node) = self.get(key) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            self.mismatch(key, node, "a list", hint, faults);
            return Vec::new();
        };
        if items.len() > TEXTS_MAX {
            let message =
                format!("`{}` has {} entries, at most {TEXTS_MAX}", self.name(key), items.len());
            faults.wrong(node.at, message, "write fewer");
        }
        let path = self.name(key);
        let items = items.iter().take(TEXTS_MAX).enumerate();
        items.filter_map(|(i, item)| Fields::open(item, format!("{path}[{i}]"), faults)).collect()
    }

    /// As [`Fields::amount`], but at least one.
    pub(crate) fn some(&self, key: &str, why: &str, faults: &mut Faults<'_>) -> Option<Amount> {
        let amount = self.amount(key, faults)?;
        if matches!(amount, Amount::Count(0) | Amount::Percent(0)) {
            let at = self.get(key).map_or(self.at, |node| node.at);
            faults.wrong(at, format!("`{}` is 0", self.name(key)), why);
            return None;
        }
        Some(amount)
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        words: &[(&str, T)],
        faults: &mut Faults<'_>,
    ) -> Option<T> {
        let (text, at) = self.text(key, faults)?;
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*value);
        }
        let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let message = format!("`{}` cannot be `{}`", self.name(key), clip(text));
        faults.wrong(at, message, &format!("write {}", list.join(" or ")));
        None
    }

    fn mismatch(&self, key: &str, node: &Node, want: &str, hint: &str, faults: &mut Faults<'_>) {
        let message = format!("`{}` must be {want}, but is {}", self.name(key), node.what());
        faults.wrong(node.at, message, hint);
    }
}

/// `2` or `10%`; `name` is where it stands.
pub(crate) fn amount(node: &Node, name: &str, faults: &mut Faults<'_>) -> Option<Amount> {
    let share = |text: &str| {
        let percent: u8 = text.strip_suffix('%')?.trim_end().parse().ok()?;
        (percent <= 100).then_some(Amount::Percent(percent))
    };
    let amount = whole(node).map(Amount::Count).or_else(|| node.text().and_then(share));
    if amount.is_none() {
        let want = "a number of clusters or a share of 0% to 100%";
        let message = format!("`{name}` must be {want}, but is {}", node.what());
        faults.wrong(node.at, message, "write `2` for two clusters or `10%` for a tenth");
    }
    amount
}

fn whole(node: &Node) -> Option<u32> {
    match &node.value {
        Value::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => None,
    }
}

/// Fields that belong elsewhere, or have another name with others.
const MISPLACED: &[(&str, &str)] = &[
    ("soak", "write `after: {soak: 30m}` in the wave"),
    ("maxUnavailable", "it is called `maxInFlight` here"),
    ("parallelism", "it is called `maxInFlight` here"),
    ("maxInFlight", "write it below `defaults`, in a wave, or below `rollback`"),
    ("maxFailures", "write it below `defaults`, in a wave, or below `rollback`"),
    ("minHealthy", "write it below `defaults`, in a wave, or below `rollback`"),
    ("progressDeadline", "write it below `defaults`, in a wave, or below `rollback`"),
    ("namespace", "write the namespace into the manifests"),
    ("path", "write it below `source`"),
    ("selector", "write `select`"),
];

/// What may have been meant by `key`.
fn suggest(key: &str, known: &[&str], later: &[&str]) -> String {
    /// Below this a suggestion is a guess.
    const LIKENESS_MIN: f64 = 0.7;
    if let Some((_, hint)) = MISPLACED.iter().find(|(misplaced, _)| *misplaced == key) {
        return (*hint).to_owned();
    }
    let lower = key.to_lowercase();
    let likeness = |word: &&&str| strsim::damerau_levenshtein(&lower, &word.to_lowercase());
    let best = known.iter().chain(later).min_by_key(likeness);
    let near = |word: &&&str| {
        strsim::normalized_damerau_levenshtein(&lower, &word.to_lowercase()) >= LIKENESS_MIN
    };
    match best.filter(near) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}
