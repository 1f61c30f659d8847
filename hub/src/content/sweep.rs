//! Removes files that nothing refers to any more. Only while nobody puts: at the start of the hub.

use std::{collections::BTreeSet, fs, path::Path};

use model::{Digest, Manifest};

use super::{Content, Error, at};

/// What a sweep removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Content {
    /// Keeps these manifests and what they list, and removes everything else. A manifest that cannot be read leaves
    /// open what it lists; then nothing is removed.
    pub fn sweep(&self, manifests: &BTreeSet<Digest>) -> Result<Swept, Error> {
        let mut keep = manifests.clone();
        for digest in manifests {
            // A release that was never granted may never have been kept.
            let Some(bytes) = self.get(digest)? else { continue };
            let Ok(manifest) = Manifest::parse(&bytes) else {
                tracing::warn!(%digest, "no manifest; no content is removed");
                return Ok(Swept::default());
            };
            keep.extend(manifest.entries().iter().map(|entry| entry.digest));
        }
        let mut swept = Swept::default();
        for folder in entries(&self.dir)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.len() != 2 {
                continue; // `damaged`, `unfinished`
            }
            for file in entries(&folder)? {
                let rest = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let Ok(digest) = Digest::parse(&format!("sha256:{name}{rest}")) else { continue };
                if keep.contains(&digest) {
                    continue;
                }
                swept.bytes += fs::metadata(&file).map_err(at(&file))?.len();
                swept.files += 1;
                fs::remove_file(&file).map_err(at(&file))?;
            }
        }
        Ok(swept)
    }
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let read = fs::read_dir(folder).map_err(at(folder))?;
    read.map(|entry| Ok(entry.map_err(at(folder))?.path())).collect()
}
