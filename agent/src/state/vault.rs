//! Named bytes, wherever they are kept.

use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::Error;
use super::directory::Directory;
use crate::cluster::{Cluster, SecretStore};

/// Longest wait for an agent before us to let go of its folder.
const ENDING_MAX: Duration = Duration::from_secs(2);
/// Between two looks meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// Where values live.
#[derive(Debug, Clone)]
enum Place {
    Directory(Directory),
    Secrets(Box<SecretStore>),
}

/// A place for named values. A value is replaced as a whole or not at all, and is durable once written.
#[derive(Debug, Clone)]
pub struct Vault(Place);

impl Vault {
    /// In a folder, which no other agent may use meanwhile. One that is just ending is waited for.
    pub async fn directory(root: &Path) -> Result<Vault, Error> {
        let until = Instant::now() + ENDING_MAX;
        loop {
            match Directory::open(root) {
                Ok(directory) => return Ok(Vault(Place::Directory(directory))),
                Err(Error::Locked(_)) if Instant::now() < until => tokio::time::sleep(LOOK).await,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// In Secrets of `namespace`.
    pub async fn secrets(cluster: Cluster, namespace: &str) -> Result<Vault, Error> {
        Ok(Vault(Place::Secrets(Box::new(SecretStore::open(cluster, namespace).await?))))
    }

    /// Reads a value.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        match &self.0 {
            Place::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.to_owned());
                off(move || directory.get(&name)).await
            }
            Place::Secrets(secrets) => Ok(secrets.get(name).await?),
        }
    }

    /// Writes a value durably.
    pub async fn put(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        match &self.0 {
            Place::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.to_owned());
                off(move || directory.put(&name, &bytes)).await
            }
            Place::Secrets(secrets) => Ok(secrets.put(name, &bytes).await?),
        }
    }

    /// Removes a value; it need not be there.
    pub async fn remove(&self, name: &str) -> Result<(), Error> {
        match &self.0 {
            Place::Directory(directory) => {
                let (directory, name) = (directory.clone(), name.to_owned());
                off(move || directory.remove(&name)).await
            }
            Place::Secrets(secrets) => Ok(secrets.remove(name).await?),
        }
    }

    /// Names below `prefix`, which ends with `/`.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        match &self.0 {
            Place::Directory(directory) => {
                let (directory, prefix) = (directory.clone(), prefix.to_owned());
                off(move || directory.list(&prefix)).await
            }
            Place::Secrets(secrets) => Ok(secrets.list(prefix).await?),
        }
    }
}

/// Files are slow when the disk is; nothing else waits for them.
async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|fault| {
        Err(Error::Io { what: "reach", path: "state".to_owned(), cause: fault.into() })
    })
}
