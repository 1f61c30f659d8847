//! Health rules that an App brings along; they outrank all others.

use model::Choices;
use plan::RuleSet;
use serde_json::json;

/// Rules of one App.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// As they came: equal texts are equal rules.
    text: String,
    pub(super) set: RuleSet,
}

impl PartialEq for Rules {
    fn eq(&self, other: &Rules) -> bool {
        self.text == other.text
    }
}

impl Rules {
    /// Reads those of a release. The hub has read them too, so a wrong one is of another version; it is never
    /// left out silently.
    pub(super) fn read(choices: &Choices) -> Result<Rules, String> {
        if choices.health.is_empty() {
            return Ok(Rules::default());
        }
        let text = json!({ "rules": choices.health }).to_string();
        let set = RuleSet::parse("the App", &text).map_err(|faults| {
            let why: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            format!("a health rule of the App cannot be read: {}", why.join("; "))
        })?;
        Ok(Rules { text, set })
    }
}
