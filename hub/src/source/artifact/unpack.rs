//! From a tar archive to files in memory. Nothing is written to a disk, so no name can lead anywhere; what could
//! not stand in a folder is refused all the same.

use std::io::Read;

use render::MemoryTree;
use tar::EntryType;

/// Bytes of all files: manifests and charts are far smaller, and the tree stays in memory.
const BYTES_MAX: u64 = 64 << 20;

/// Bytes of one file; as of a file in Git.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files of one artifact.
const FILES_MAX: usize = 20_000;

/// Why an archive cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Flaw {
    /// Not an archive.
    #[error("it cannot be unpacked: {0}")]
    Broken(String),
    /// A name or a kind of file that has no place here.
    #[error("`{0}` {1}")]
    Refused(String, &'static str),
    /// Over a limit.
    #[error("it is over the limit of {0}")]
    TooLarge(&'static str),
}

/// Files that were unpacked so far.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) tree: MemoryTree,
    count: usize,
    bytes: u64,
}

impl Files {
    /// Adds one file.
    pub(super) fn add(&mut self, name: &str, content: Vec<u8>) -> Result<(), Flaw> {
        let path = path(name, false)?;
        self.count(content.len() as u64)?;
        self.tree.insert_file(&path, content);
        Ok(())
    }

    /// Adds the files of a tar archive, packed by gzip or not; `strip` takes off the folder round a chart.
    pub(super) fn unpack(&mut self, bytes: &[u8], strip: bool) -> Result<(), Flaw> {
        if bytes.starts_with(&[0x1f, 0x8b]) {
            self.read(flate2::read::MultiGzDecoder::new(bytes), strip)
        } else {
            self.read(bytes, strip)
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "kinds that come later have no place here either"
    )]
    fn read(&mut self, from: impl Read, strip: bool) -> Result<(), Flaw> {
        let broken = |error: std::io::Error| Flaw::Broken(error.to_string());
        // Long names and padding come on top of what files hold.
        let bounded = from.take(2 * BYTES_MAX);
        let mut archive = tar::Archive::new(bounded);
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            match entry.header().entry_type() {
                EntryType::Directory | EntryType::XGlobalHeader | EntryType::XHeader => {}
                EntryType::Regular | EntryType::Continuous => {
                    if entry.size() > FILE_BYTES_MAX {
                        return Err(Flaw::TooLarge("one file"));
                    }
                    let Some(path) = inner(&name, strip)? else { continue };
                    self.count(entry.size())?;
                    let mut content = Vec::new();
                    entry
                        .by_ref()
                        .take(FILE_BYTES_MAX)
                        .read_to_end(&mut content)
                        .map_err(broken)?;
                    self.tree.insert_file(&path, content);
                }
                EntryType::Symlink => {
                    let Some(path) = inner(&name, strip)? else { continue };
                    let target = entry.link_name_bytes().unwrap_or_default();
                    let target = String::from_utf8_lossy(&target).into_owned();
                    self.count(target.len() as u64)?;
                    self.tree.insert_link(&path, &target);
                }
                _ => return Err(Flaw::Refused(name, "is neither a file, a folder nor a link")),
            }
        }
        Ok(())
    }

    fn count(&mut self, bytes: u64) -> Result<(), Flaw> {
        self.count += 1;
        self.bytes += bytes;
        if self.count > FILES_MAX {
            return Err(Flaw::TooLarge("files"));
        }
        if self.bytes > BYTES_MAX { Err(Flaw::TooLarge("unpacked bytes")) } else { Ok(()) }
    }
}

fn inner(name: &str, strip: bool) -> Result<Option<String>, Flaw> {
    match path(name, strip) {
        Ok(path) if path.is_empty() => Ok(None),
        other => other.map(Some),
    }
}

/// A name as a path from the root of the tree.
fn path(name: &str, strip: bool) -> Result<String, Flaw> {
    let refused = |why| Err(Flaw::Refused(name.to_owned(), why));
    if name.starts_with('/') || name.contains(['\\', '\0']) {
        return refused("is no path below the archive");
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return refused("leads out of the archive"),
            part => parts.push(part),
        }
    }
    if strip && !parts.is_empty() {
        parts.remove(0);
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use render::Tree;

    use super::*;

    fn archive(files: &[(&str, EntryType, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if *kind == EntryType::Symlink {
                header.set_size(0);
                header.set_link_name_literal(content).unwrap();
            } else {
                header.set_size(content.len() as u64);
            }
            // Written as it stands: the library would refuse the names that we want to see refused.
            let bytes = name.as_bytes();
            header.as_old_mut().name[..bytes.len()].copy_from_slice(bytes);
            header.set_cksum();
            let body: &[u8] = if *kind == EntryType::Symlink { &[] } else { content };
            builder.append(&header, body).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn files_and_links_are_unpacked_and_a_charts_folder_is_taken_off() {
        let bytes = archive(&[
            ("web/Chart.yaml", EntryType::Regular, b"name: web\n"),
            ("./web/templates/a.yaml", EntryType::Regular, b"a: 1\n"),
            ("web/link", EntryType::Symlink, b"Chart.yaml"),
        ]);
        let mut files = Files::default();
        files.unpack(&bytes, true).unwrap();
        assert_eq!(files.tree.read("Chart.yaml").unwrap(), b"name: web\n");
        assert_eq!(files.tree.read("templates/a.yaml").unwrap(), b"a: 1\n");
        assert_eq!(files.tree.list("").unwrap().len(), 3);
    }

    #[test]
    fn what_leaves_the_archive_is_refused() {
        for (name, kind) in [
            ("../evil", EntryType::Regular),
            ("a/../../evil", EntryType::Regular),
            ("/etc/passwd", EntryType::Regular),
            ("a\\b", EntryType::Regular),
            ("hard", EntryType::Link),
            ("device", EntryType::Char),
            ("pipe", EntryType::Fifo),
        ] {
            let refused = Files::default().unpack(&archive(&[(name, kind, b"x")]), false);
            assert!(matches!(refused, Err(Flaw::Refused(..))), "{name}: {refused:?}");
        }
        assert!(matches!(
            Files::default().unpack(b"no archive at all", false),
            Err(Flaw::Broken(_))
        ));
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let zeros = vec![0; 15 << 20];
        let names: Vec<_> = (0..8).map(|n| format!("f{n}")).collect();
        let list: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), EntryType::Regular, zeros.as_slice()))
            .collect();
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut packer, &archive(&list)).unwrap();
        let bomb = packer.finish().unwrap();
        assert!(bomb.len() < 1 << 20);
        assert_eq!(Files::default().unpack(&bomb, false), Err(Flaw::TooLarge("unpacked bytes")));
    }
}
