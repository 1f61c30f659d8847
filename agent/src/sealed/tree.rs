//! All values of an object, and SOPS's code over them.
//!
//! The code depends on the order in which values stand in their file. An object on its way to an agent has sorted keys,
//! so rendering notes that order, as JSON pointers, in `sops.order`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::scope::Scope;
use super::{Error, cipher};

/// Names on the way to a value; an object nests less deep.
const DEPTH_MAX: usize = 128;

/// A value as the code counts it.
struct Leaf {
    bytes: Zeroizing<Vec<u8>>,
    counts: bool,
}

/// What is gathered while walking.
struct Walk<'a> {
    scope: &'a Scope,
    key: &'a [u8; 32],
    /// Names from the top; places in lists are none.
    path: Vec<String>,
    leaves: BTreeMap<String, Leaf>,
    /// Pointers in the order of walking.
    order: Vec<String>,
    texts: BTreeSet<String>,
}

/// Opens all values in place; the texts that were encrypted.
pub(super) fn open(
    object: &mut Value,
    block: &Value,
    scope: &Scope,
    key: &[u8; 32],
) -> Result<BTreeSet<String>, Error> {
    let (path, leaves, order, texts) = Default::default();
    let mut walk = Walk { scope, key, path, leaves, order, texts };
    walk.value(object, "")?;
    let order = order_of(block, &walk)?;
    let mut code = Sha512::new();
    if scope.encrypted_only {
        code.update(Sha256::digest(b"sops"));
    }
    for leaf in order.iter().filter_map(|pointer| walk.leaves.get(pointer)).filter(|l| l.counts) {
        code.update(&*leaf.bytes);
    }
    let found = hex::encode_upper(code.finalize());
    if bool::from(found.as_bytes().ct_eq(&written(block, key)?)) {
        Ok(walk.texts)
    } else {
        let why = "does not fit: a value was added, taken away, exchanged or changed after `sops` wrote the file. One file \
                   must hold one object; what Kustomize or Helm adds to it counts too, unless it was encrypted with \
                   `mac_only_encrypted`";
        Err(Error::broken("sops.mac", why))
    }
}

/// The code as it was written.
fn written(block: &Value, key: &[u8; 32]) -> Result<Vec<u8>, Error> {
    let text = |name: &str| block.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let sealed = text("mac").ok_or_else(|| Error::broken("sops.mac", "is missing"))?;
    let when = text("lastmodified");
    let when = when.ok_or_else(|| Error::broken("sops.lastmodified", "is missing"))?;
    let plain = cipher::open(sealed, key, when).map_err(|why| Error::broken("sops.mac", why))?;
    Ok(plain.bytes.to_vec())
}

/// The order of the file: as noted, or as walked. Every value is in it once.
fn order_of(block: &Value, walk: &Walk<'_>) -> Result<Vec<String>, Error> {
    let Some(noted) = block.get("order") else { return Ok(walk.order.clone()) };
    let wrong = || Error::broken("sops.order", "does not name every value once");
    let noted: Option<Vec<String>> = noted
        .as_array()
        .and_then(|list| list.iter().map(|p| p.as_str().map(str::to_owned)).collect());
    let noted = noted.ok_or_else(wrong)?;
    let unique: BTreeSet<&String> = noted.iter().collect();
    let complete = unique.len() == noted.len() && unique.into_iter().eq(walk.leaves.keys());
    complete.then_some(noted).ok_or_else(wrong)
}

impl Walk<'_> {
    fn value(&mut self, value: &mut Value, pointer: &str) -> Result<(), Error> {
        if self.path.len() > DEPTH_MAX {
            return Err(Error::broken(self.path.join("."), "nests too deep"));
        }
        match value {
            Value::Object(map) => {
                for (name, inner) in map {
                    self.path.push(name.clone());
                    let name = name.replace('~', "~0").replace('/', "~1");
                    self.value(inner, &format!("{pointer}/{name}"))?;
                    self.path.pop();
                }
                Ok(())
            }
            Value::Array(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.value(item, &format!("{pointer}/{at}"))?;
                }
                Ok(())
            }
            // Nothing is neither encrypted nor counted.
            Value::Null => Ok(()),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => self.leaf(value, pointer),
        }
    }

    fn leaf(&mut self, value: &mut Value, pointer: &str) -> Result<(), Error> {
        let encrypted = self.scope.encrypts(&self.path);
        let empty = value.as_str().is_some_and(str::is_empty);
        let bytes = if encrypted && !empty {
            let fault = |why| Error::broken(self.path.join("."), why);
            let sealed = value.as_str().ok_or_else(|| fault("stands there readable"))?;
            let place = format!("{}:", self.path.join(":"));
            let plain = cipher::open(sealed, self.key, &place).map_err(fault)?;
            *value = plain.value;
            if let Some(text) = value.as_str() {
                self.texts.insert(text.to_owned());
            }
            plain.bytes
        } else {
            Zeroizing::new(counted(value))
        };
        let counts = encrypted || !self.scope.encrypted_only;
        self.leaves.insert(pointer.to_owned(), Leaf { bytes, counts });
        self.order.push(pointer.to_owned());
        Ok(())
    }
}

/// A readable value as the code counts it.
fn counted(value: &Value) -> Vec<u8> {
    let text = match value {
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        // The shortest digits that mean the same number, never with an exponent.
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (None, Some(float)) if number.is_f64() => format!("{float}"),
            _ => number.to_string(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    };
    text.into_bytes()
}
