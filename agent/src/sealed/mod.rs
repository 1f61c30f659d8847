//! Opens objects that SOPS encrypted for an age key of this cluster. The hub never holds such a key: what it carries is
//! what stands in Git, and the text exists only in the memory of the agent, while an App is planned and applied.
//!
//! An object is opened as a whole or not at all: every value is authentic at its own place, and SOPS's own code over
//! all values in the order of their file fits. Deliberately absent: encrypting, other keys than age's X25519, comments
//! (they do not reach an agent), and reading keys from anywhere (the shell brings them).

mod tree;
mod scope;
mod cipher;

mod age;
mod keys;

use std::collections::BTreeSet;

use model::Reason;
use serde_json::Value;

pub use keys::{Keyring, NotAKey};

/// Recipients that a message names.
const NAMED_MAX: usize = 2;

/// Why an object stays shut. Never holds a byte of what it encrypts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no key at all.
    #[error("encrypted for {0}, and {1} holds no age identity")]
    NoKey(String, String),
    /// None of the keys is meant.
    #[error("encrypted for {0}; {1} holds {2}")]
    OtherKey(String, String, String),
    /// No recipient is an age key.
    #[error("encrypted for {0} and for no age key")]
    NoAge(String),
    /// Something was changed, or was never right.
    #[error("`{path}`: {why}")]
    Broken {
        /// Where, such as `data.password`.
        path: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl Error {
    fn broken(path: impl Into<String>, why: &'static str) -> Error {
        Error::Broken { path: path.into(), why }
    }

    /// As reported.
    pub fn reason(&self) -> Reason {
        match self {
            Error::NoKey(..) => Reason::SealKeyMissing,
            Error::OtherKey(..) => Reason::SealKeyWrong,
            Error::NoAge(_) => Reason::SealKeyUnsupported,
            Error::Broken { .. } => Reason::SealBroken,
        }
    }

    /// Whether another key may cure it.
    pub fn may_pass(&self) -> bool {
        matches!(self, Error::NoKey(..) | Error::OtherKey(..))
    }
}

/// An object that was opened.
pub struct Opened {
    /// The object without the block `sops`. Never log it.
    pub object: Value,
    /// Every text that was encrypted, so that it can be kept out of messages.
    pub texts: BTreeSet<String>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({} texts)", self.texts.len())
    }
}

/// Opens an object that [`plan::is_sealed`].
pub fn open(mut object: Value, keys: &Keyring) -> Result<Opened, Error> {
    let block = object.as_object_mut().and_then(|map| map.remove("sops"));
    let block = block.filter(Value::is_object).ok_or_else(|| Error::broken("sops", "is no map"))?;
    let key = data_key(&block, keys)?;
    let scope = scope::Scope::read(&block)?;
    let texts = tree::open(&mut object, &block, &scope, &key)?;
    Ok(Opened { object, texts })
}

/// The key of the object's values, out of the first entry that one of ours opens.
fn data_key(block: &Value, keys: &Keyring) -> Result<age::DataKey, Error> {
    let groups = block.get("key_groups").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    if groups.len() > 1 {
        return Err(Error::NoAge("several groups of keys, which have to be joined".to_owned()));
    }
    let holders = || [block].into_iter().chain(groups);
    let entries: Vec<(&str, &str)> = holders()
        .filter_map(|holder| holder.get("age")?.as_array())
        .flatten()
        .filter_map(|entry| Some((entry.get("recipient")?.as_str()?, entry.get("enc")?.as_str()?)))
        .collect();
    if entries.is_empty() {
        return Err(Error::NoAge(others(holders())));
    }
    let mut broken = None;
    for (at, (_, sealed)) in entries.iter().enumerate() {
        match age::open(sealed, keys) {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => {}
            Err(why) => broken = broken.or(Some(Error::broken(format!("sops.age[{at}].enc"), why))),
        }
    }
    if let Some(broken) = broken {
        return Err(broken);
    }
    let recipients = named(entries.iter().map(|(recipient, _)| *recipient));
    Err(if keys.is_empty() {
        Error::NoKey(recipients, keys.place().to_owned())
    } else {
        Error::OtherKey(recipients, keys.place().to_owned(), named(keys.recipients()))
    })
}

/// Which other keys it is encrypted for.
fn others<'a>(holders: impl Iterator<Item = &'a Value>) -> String {
    const KINDS: [(&str, &str); 5] = [
        ("pgp", "PGP"),
        ("kms", "AWS KMS"),
        ("gcp_kms", "GCP KMS"),
        ("azure_kv", "Azure Key Vault"),
        ("hc_vault", "HashiCorp Vault"),
    ];
    let filled = |holder: &Value, field: &str| {
        holder.get(field).and_then(Value::as_array).is_some_and(|entries| !entries.is_empty())
    };
    let holders: Vec<&Value> = holders.collect();
    let found = KINDS.iter().filter(|(field, _)| holders.iter().any(|h| filled(h, field)));
    let found: Vec<&str> = found.map(|(_, name)| *name).collect();
    if found.is_empty() { "nobody".to_owned() } else { found.join(", ") }
}

/// Some recipients, cut to what one is long.
fn named<'a>(recipients: impl Iterator<Item = &'a str>) -> String {
    /// A recipient is 62 characters long; what is longer is none, and is not repeated.
    const LONGEST: usize = 62;
    let all: Vec<&str> = recipients.collect();
    let shown = |text: &str| {
        let fine = text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if fine { text.to_owned() } else { "an unreadable recipient".to_owned() }
    };
    let mut text = all.iter().take(NAMED_MAX).map(|r| shown(r)).collect::<Vec<_>>().join(", ");
    if all.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", all.len() - NAMED_MAX));
    }
    text
}
