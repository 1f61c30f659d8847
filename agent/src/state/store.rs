//! The agent's memory in its own words.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{AppName, Digest};
use plan::{Inventory, Key};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Error, Held, Pack, Vault};

const BOOT: &str = "boot";
const KEY: &str = "key";
const GRANTS: &str = "grants/";
const CONTENT: &str = "content/";
const INVENTORY: &str = "inventory/";
const CLUSTER: &str = "cluster";

/// Everything that outlives the process.
#[derive(Debug, Clone)]
pub struct State {
    vault: Vault,
    key: Key,
    boot: u64,
    /// Whether `boot` itself could be stored.
    boot_fault: Option<Arc<Error>>,
}

impl State {
    /// Reads what there is, and counts this start.
    pub async fn open(vault: Vault) -> Result<State, Error> {
        let key = if let Some(bytes) = vault.get(KEY).await? {
            let bytes: [u8; 32] =
                bytes.try_into().map_err(|_| damaged(KEY, "it has not 32 bytes"))?;
            Key::new(bytes)
        } else {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes)?;
            vault.put(KEY, bytes.to_vec()).await?;
            Key::new(bytes)
        };
        let before: u64 = match vault.get(BOOT).await? {
            Some(text) => std::str::from_utf8(&text)
                .ok()
                .and_then(|t| t.trim().parse().ok())
                .ok_or_else(|| damaged(BOOT, "it is no number"))?,
            None => 0,
        };
        let boot = before + 1;
        // With a full disk the agent still has to correct drift; reports of this start may then be taken
        // for reports of the next one, which the hub drops as older until a new grant arrives.
        let boot_fault = vault.put(BOOT, boot.to_string().into_bytes()).await.err().map(Arc::new);
        Ok(State { vault, key, boot, boot_fault })
    }

    /// Where it is kept.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// The agent's own key, for fingerprints and inventories.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Number of this start.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// Why this start could not be counted durably.
    pub fn boot_fault(&self) -> Option<&Error> {
        self.boot_fault.as_deref()
    }

    /// Uid of the cluster in which this state was made; `None` before it was noted.
    pub async fn cluster(&self) -> Result<Option<String>, Error> {
        let bytes = self.vault.get(CLUSTER).await?;
        bytes
            .map(|b| String::from_utf8(b).map_err(|_| damaged(CLUSTER, "it is no text")))
            .transpose()
    }

    /// Notes it.
    pub async fn note_cluster(&self, uid: &str) -> Result<(), Error> {
        self.vault.put(CLUSTER, uid.as_bytes().to_vec()).await
    }

    /// All grants.
    pub async fn grants(&self) -> Result<BTreeMap<AppName, Held>, Error> {
        let mut all = BTreeMap::new();
        for name in self.vault.list(GRANTS).await? {
            let app = AppName::parse(&name[GRANTS.len()..])
                .map_err(|e| damaged(&name, &e.to_string()))?;
            if let Some(held) = self.json(&name).await? {
                all.insert(app, held);
            }
        }
        Ok(all)
    }

    /// Stores what an App holds.
    pub async fn hold(&self, app: &AppName, held: &Held) -> Result<(), Error> {
        self.put_json(&format!("{GRANTS}{app}"), held).await
    }

    /// Reads and verifies content.
    pub async fn content(&self, digest: &Digest) -> Result<Option<Pack>, Error> {
        let name = content_name(digest);
        let Some(bytes) = self.vault.get(&name).await? else { return Ok(None) };
        Pack::read(bytes, digest).map(Some).map_err(|why| damaged(&name, &why))
    }

    /// Stores verified content.
    pub async fn keep(&self, pack: &Pack) -> Result<(), Error> {
        self.vault.put(&content_name(&pack.manifest.digest()), pack.to_bytes()).await
    }

    /// Drops content that no grant of `needed` refers to.
    pub async fn collect(&self, needed: &BTreeSet<Digest>) -> Result<(), Error> {
        let kept: BTreeSet<String> = needed.iter().map(content_name).collect();
        for name in self.vault.list(CONTENT).await? {
            if !kept.contains(&name) {
                self.vault.remove(&name).await?;
            }
        }
        Ok(())
    }

    /// What was applied for an App; `None` before the first sync. An inventory that was tampered with is an
    /// error: nothing may be deleted on its word.
    pub async fn inventory(&self, app: &AppName) -> Result<Option<Inventory>, Error> {
        let name = format!("{INVENTORY}{app}");
        let Some(bytes) = self.vault.get(&name).await? else { return Ok(None) };
        let opened = Inventory::open(&bytes, &self.key);
        opened.map(Some).map_err(|fault| damaged(&name, &fault.to_string()))
    }

    /// Stores an inventory.
    pub async fn record(&self, inventory: &Inventory) -> Result<(), Error> {
        let name = format!("{INVENTORY}{}", inventory.app());
        let bytes = inventory.seal(&self.key).map_err(|e| damaged(&name, &e.to_string()))?;
        self.vault.put(&name, bytes).await
    }

    /// Reads a JSON value.
    pub async fn json<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(bytes) = self.vault.get(name).await? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| damaged(name, &e.to_string()))
    }

    /// Writes a JSON value.
    pub async fn put_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(value).map_err(|e| damaged(name, &e.to_string()))?;
        self.vault.put(name, bytes).await
    }
}

fn content_name(digest: &Digest) -> String {
    format!("{CONTENT}{}", hex::encode(digest.as_bytes()))
}

fn damaged(name: &str, why: &str) -> Error {
    Error::Damaged { name: name.to_owned(), why: why.to_owned() }
}
