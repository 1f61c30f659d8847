//! What an App chose for the agent. It travels with the grant as JSON; members that this version does not know are left
//! unread, and what is absent is the careful default.

use std::collections::{BTreeMap, BTreeSet};

use model::{AppName, ObjectKey};
use plan::Adopt;
use serde::{Deserialize, Serialize};

/// Choices of one App.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Choices {
    /// `NAMESPACE/NAME` of the account that writes; empty: the agent's default.
    pub service_account: String,
    /// For objects that exist and are not ours; an object's own annotation outranks it.
    pub adopt: Adopt,
    /// Whether objects are replaced when a field changes that cannot; their own annotation counts too.
    pub recreate: bool,
    /// With an empty set: everything stays, and our marks come off.
    pub orphan: bool,
    /// Objects (by id) that another App hands over to this one, and which.
    pub take_from: BTreeMap<String, AppName>,
    /// Objects (by id) that this App hands over to another one, and which: they are not deleted here.
    pub leaving: BTreeMap<String, AppName>,
    /// Objects (by id) whose removal a person confirmed for this grant.
    pub approved: BTreeSet<String>,
}

/// Objects by key; an id that names none concerns none.
pub(crate) fn by_key(ids: &BTreeMap<String, AppName>) -> BTreeMap<ObjectKey, AppName> {
    ids.iter().filter_map(|(id, app)| Some((ObjectKey::parse_id(id).ok()?, app.clone()))).collect()
}

impl Choices {
    /// Reads what came with a grant; nothing is the default.
    pub fn read(json: &str) -> Result<Choices, serde_json::Error> {
        if json.is_empty() {
            return Ok(Choices::default());
        }
        // An object: serde takes a list for a struct too.
        let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(json)?;
        serde_json::from_value(serde_json::Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_the_unknown_are_the_default_and_nonsense_is_an_error() {
        assert_eq!(Choices::read("").unwrap(), Choices::default());
        assert_eq!(Choices::read(r#"{"later": [1]}"#).unwrap(), Choices::default());
        let read = Choices::read(r#"{"serviceAccount": "shop/tenant"}"#).unwrap();
        assert_eq!(read.service_account, "shop/tenant");
        assert!(Choices::read("[]").is_err() && Choices::read("{").is_err());
    }
}
