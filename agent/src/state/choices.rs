//! What an App chose for the agent: with its release, and for one grant on top. Members that this version does
//! not know are left unread, and what is absent is the careful default.

use std::collections::BTreeMap;

use model::{AppName, Choices, ObjectKey};
use serde_json::{Map, Value};

use super::Pack;

/// Objects by key; an id that names none concerns none.
pub(crate) fn by_key(ids: &BTreeMap<String, AppName>) -> BTreeMap<ObjectKey, AppName> {
    ids.iter().filter_map(|(id, app)| Some((ObjectKey::parse_id(id).ok()?, app.clone()))).collect()
}

/// Reads the choices of a grant; nothing is the default.
pub(crate) fn read(json: &str) -> Result<Choices, serde_json::Error> {
    if json.is_empty() {
        return Ok(Choices::default());
    }
    // An object: serde takes a list for a struct too.
    let members: Map<String, Value> = serde_json::from_str(json)?;
    serde_json::from_value(Value::Object(members))
}

/// The choices of a release; a release without any is the default.
pub(crate) fn of_release(pack: &Pack) -> Result<Choices, String> {
    let mut entries = pack.manifest.entries().iter();
    let Some(entry) = entries.find(|entry| Choices::is_key(&entry.key)) else {
        return Ok(Choices::default());
    };
    let bytes = pack.object(&entry.digest).map(|bytes| &bytes[..]).unwrap_or_default();
    let document: Value = serde_json::from_slice(bytes).map_err(|fault| fault.to_string())?;
    Choices::read_document(&document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_the_unknown_are_the_default_and_nonsense_is_an_error() {
        assert_eq!(read("").unwrap(), Choices::default());
        assert_eq!(read(r#"{"later": [1]}"#).unwrap(), Choices::default());
        let chosen = read(r#"{"serviceAccount": "shop/tenant"}"#).unwrap();
        assert_eq!(chosen.service_account, "shop/tenant");
        assert!(read("[]").is_err() && read("{").is_err());
    }
}
