//! Whether two Apps can select one cluster, told from their selectors alone.
//!
//! Tries every cluster that the selectors speak of: each label they name with each text they name, and
//! without it. What looks at facts, or speaks of more than can be tried, stays open.

use std::collections::BTreeSet;

use model::{Facts, Labels};
use rollout::Targets;

/// Clusters that are tried for one pair of Apps.
const TRIES_MAX: usize = 4096;

/// What can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Overlap {
    /// No cluster is selected by both.
    Never,
    /// A cluster with these labels is.
    On(String),
    /// It depends on more than labels.
    Maybe,
}

/// Compares two target sets.
pub(super) fn overlap(one: &Targets, other: &Targets) -> Overlap {
    let selectors =
        [&one.select, &other.select].into_iter().chain(&one.exclude).chain(&other.exclude);
    let selectors: Vec<_> = selectors.collect();
    let mut labels: BTreeSet<String> = BTreeSet::new();
    let mut texts: BTreeSet<String> = BTreeSet::new();
    let mut sure = true;
    for selector in &selectors {
        let words = Words::of(selector.as_str());
        labels.extend(words.labels);
        texts.extend(words.texts);
        sure &= !selector.uses_facts() && words.plain;
    }
    let labels: Vec<_> = labels.into_iter().collect();
    // The empty text stands for every text that is not named.
    let texts: Vec<_> = texts.into_iter().chain([String::new()]).collect();
    let each = texts.len() + 1;
    let Some(tries) = u32::try_from(labels.len())
        .ok()
        .and_then(|count| each.checked_pow(count))
        .filter(|tries| *tries <= TRIES_MAX)
    else {
        return Overlap::Maybe;
    };
    for number in 0..tries {
        let cluster = cluster(number, &labels, &texts);
        let selected = |targets: &Targets| targets.selects(&cluster, &Facts::Null) == Ok(true);
        if selected(one) && selected(other) {
            return Overlap::On(describe(&cluster));
        }
    }
    if sure { Overlap::Never } else { Overlap::Maybe }
}

/// The cluster of this number: each label in turn is missing, or has one of the texts.
fn cluster(mut number: usize, labels: &[String], texts: &[String]) -> Labels {
    let mut cluster = Labels::new();
    for label in labels {
        let choice = number % (texts.len() + 1);
        number /= texts.len() + 1;
        if let Some(text) = choice.checked_sub(1).and_then(|choice| texts.get(choice)) {
            cluster.insert(label.clone(), text.clone());
        }
    }
    cluster
}

fn describe(cluster: &Labels) -> String {
    let list: Vec<_> = cluster.iter().map(|(key, value)| format!("`{key}={value}`")).collect();
    if list.is_empty() { "any labels".to_owned() } else { list.join(" ") }
}

/// The labels and texts that an expression speaks of.
struct Words {
    labels: BTreeSet<String>,
    texts: BTreeSet<String>,
    /// Only compares: no function could tell apart what is not tried.
    plain: bool,
}

impl Words {
    fn of(source: &str) -> Words {
        let mut words = Words { labels: BTreeSet::new(), texts: BTreeSet::new(), plain: true };
        let mut rest = source;
        while let Some(at) = rest.find(['\'', '"']) {
            words.names(&rest[..at]);
            let quote = &rest[at..=at];
            let Some((text, after)) = rest[at + 1..].split_once(quote) else {
                words.plain = false;
                return words;
            };
            words.plain &= !text.contains('\\');
            if rest[..at].trim_end().ends_with("labels[") {
                words.labels.insert(text.to_owned());
            } else {
                words.texts.insert(text.to_owned());
            }
            rest = after;
        }
        words.names(rest);
        words
    }

    /// Names outside of quotes.
    fn names(&mut self, text: &str) {
        let ok = |c: char| c.is_ascii_alphanumeric() || c == '_';
        for part in text.split("labels.").skip(1) {
            let name: String = part.chars().take_while(|c| ok(*c)).collect();
            self.labels.insert(name);
        }
        let calls = [
            "startsWith",
            "endsWith",
            "contains",
            "matches",
            "size",
            "exists",
            "all(",
            "<",
            ">",
            "+",
        ];
        self.plain &= !calls.iter().any(|call| text.contains(call));
    }
}
