//! Which values of an object are encrypted: one rule for the whole object, about the names on the way to a value.

use regex_lite::Regex;
use serde_json::Value;

use super::Error;

/// What SOPS takes when an object names no rule.
const SUFFIX: &str = "_unencrypted";
/// Characters of a rule.
const RULE_MAX: usize = 1024;

enum Rule {
    UnencryptedSuffix(String),
    EncryptedSuffix(String),
    UnencryptedRegex(Regex),
    EncryptedRegex(Regex),
}

/// Which values are encrypted, and which of them SOPS's code over all counts.
pub(super) struct Scope {
    rule: Rule,
    /// Whether the code counts encrypted values only.
    pub(super) encrypted_only: bool,
}

impl Scope {
    /// Of the block `sops`.
    pub(super) fn read(block: &Value) -> Result<Scope, Error> {
        let given = |name: &str| {
            block
                .get(name)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        };
        for comments in ["unencrypted_comment_regex", "encrypted_comment_regex"] {
            if given(comments).is_some() {
                let why = "is about comments, which do not reach an agent; use `encrypted_regex`";
                return Err(Error::broken(format!("sops.{comments}"), why));
            }
        }
        let regex = |name: &str| -> Result<Option<Regex>, Error> {
            let Some(text) = given(name) else { return Ok(None) };
            let fault = || Error::broken(format!("sops.{name}"), "is no regular expression");
            let fine = Some(text).filter(|text| text.len() <= RULE_MAX).ok_or_else(fault)?;
            Regex::new(&fine).map(Some).map_err(|_| fault())
        };
        let rules = [
            given("unencrypted_suffix").map(Rule::UnencryptedSuffix),
            given("encrypted_suffix").map(Rule::EncryptedSuffix),
            regex("unencrypted_regex")?.map(Rule::UnencryptedRegex),
            regex("encrypted_regex")?.map(Rule::EncryptedRegex),
        ];
        let mut rules = rules.into_iter().flatten();
        let rule = rules.next().unwrap_or_else(|| Rule::UnencryptedSuffix(SUFFIX.to_owned()));
        if rules.next().is_some() {
            return Err(Error::broken("sops", "has several rules of what is encrypted"));
        }
        let only = block.get("mac_only_encrypted").and_then(Value::as_bool);
        Ok(Scope { rule, encrypted_only: only.unwrap_or_default() })
    }

    /// Whether a value is encrypted whose names, from the top, are `path`.
    pub(super) fn encrypts(&self, path: &[String]) -> bool {
        match &self.rule {
            Rule::UnencryptedSuffix(suffix) => !path.iter().any(|name| name.ends_with(suffix)),
            Rule::EncryptedSuffix(suffix) => path.iter().any(|name| name.ends_with(suffix)),
            Rule::UnencryptedRegex(regex) => !path.iter().any(|name| regex.is_match(name)),
            Rule::EncryptedRegex(regex) => path.iter().any(|name| regex.is_match(name)),
        }
    }
}
