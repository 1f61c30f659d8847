//! Opens what SOPS encrypted, with keys that are read at this very moment: a key that is exchanged in the cluster
//! counts from the next look on, and nothing of it is kept. Uses the client.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{ObjectEntry, ObjectKey, ObjectParts, Reason};
use plan::{Content, Scrubber, is_sealed};
use serde_json::Value;

use super::Shared;
use super::report::Trouble;
use crate::cluster::Resource;
use crate::config::AGE_SECRET;
use crate::sealed::{Error, Keyring, open};

/// Objects that a message names.
const NAMED_MAX: usize = 3;

/// Opens all that is encrypted, or says what cannot be opened; `entries` name the contents, in their order.
pub(super) async fn unseal(
    shared: &Shared,
    contents: Vec<Content>,
    entries: &[ObjectEntry],
    scrubber: &mut Scrubber,
) -> Result<Vec<Content>, Trouble> {
    if !contents.iter().any(|content| is_sealed(&content.object)) {
        return Ok(contents);
    }
    let keyring = keyring(shared).await?;
    let mut opened = Vec::new();
    let mut faults = Vec::new();
    for (content, entry) in contents.into_iter().zip(entries) {
        if !is_sealed(&content.object) {
            opened.push(content);
            continue;
        }
        match open(content.object, &keyring) {
            Ok(found) => {
                for text in &found.texts {
                    scrubber.learn_text(text);
                }
                opened.push(Content { digest: content.digest, object: found.object });
            }
            Err(fault) => faults.push((&entry.key, fault)),
        }
    }
    if faults.is_empty() { Ok(opened) } else { Err(refusal(&faults)) }
}

/// One trouble for the whole set: nothing of it is written.
fn refusal(faults: &[(&ObjectKey, Error)]) -> Trouble {
    // What another key cannot cure is said first, and only that ends the waiting.
    let lasting = faults.iter().find(|(_, fault)| !fault.may_pass());
    let reason = lasting.or(faults.first()).map_or(Reason::SealBroken, |(_, fault)| fault.reason());
    let of_reason = faults.iter().filter(|(_, fault)| fault.reason() == reason);
    let named: Vec<String> =
        of_reason.take(NAMED_MAX).map(|(key, f)| format!("{key}: {f}")).collect();
    let mut message = named.join("; ");
    if faults.len() > named.len() {
        message.push_str(&format!("; and {} more", faults.len() - named.len()));
    }
    if lasting.is_some() {
        Trouble::terminal(reason, message)
    } else {
        Trouble::waiting(reason, message)
    }
}

async fn keyring(shared: &Shared) -> Result<Keyring, Trouble> {
    match &shared.sops_age_keys {
        Some(path) => {
            let mut keyring = Keyring::of(format!("`{}`", path.display()));
            let text = match tokio::fs::read_to_string(path).await {
                Ok(text) => text,
                Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => String::new(),
                Err(fault) => {
                    let why = format!("`{}` cannot be read: {}", path.display(), fault.kind());
                    return Err(Trouble::waiting(Reason::SealKeyMissing, why));
                }
            };
            read(&mut keyring, "", &text)?;
            Ok(keyring)
        }
        None => of_secret(shared).await,
    }
}

async fn of_secret(shared: &Shared) -> Result<Keyring, Trouble> {
    let key: ObjectKey = ObjectParts {
        group: String::new(),
        kind: "Secret".to_owned(),
        namespace: shared.namespace.clone(),
        name: AGE_SECRET.to_owned(),
    }
    .into();
    let mut keyring = Keyring::of(key.to_string());
    let place = Resource::core("Secret", "secrets", true);
    let reply = shared.cluster.object(&place, &key).await;
    let reply = reply.map_err(|fault| Trouble::unreachable(&fault))?;
    match reply.code {
        200 => {}
        404 => return Ok(keyring),
        code => {
            let why = format!("{key} cannot be read: the API server answers {code}");
            return Err(Trouble::waiting(Reason::SealKeyMissing, why));
        }
    }
    let fields = reply.body.get("data").and_then(Value::as_object);
    for (name, value) in fields.into_iter().flatten() {
        let bytes = value.as_str().and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        // What is no text is no identity, and is told as such.
        let text = String::from_utf8(bytes).unwrap_or_else(|_| "?".to_owned());
        read(&mut keyring, name, &text)?;
    }
    Ok(keyring)
}

fn read(keyring: &mut Keyring, part: &str, text: &str) -> Result<(), Trouble> {
    keyring
        .read(part, text)
        .map_err(|fault| Trouble::waiting(Reason::SealKeyMissing, fault.to_string()))
}
