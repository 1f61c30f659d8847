//! Host keys that are trusted, in the form of OpenSSH's `known_hosts`.

use std::fmt;

use ring::hmac;
use russh::keys::{
    Algorithm, HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns, KnownHosts, Marker},
};

/// Lines of one file.
const LINES_MAX: usize = 10_000;

/// Trusted host keys.
#[derive(Debug, Clone)]
pub(super) struct Hosts(Vec<(usize, Entry)>);

/// What a host key is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It stands there.
    Known,
    /// No line for this host.
    Unknown,
    /// There are lines for this host, with other keys: the number and the key of each.
    Changed(Vec<(usize, String)>),
    /// A line says that this key counts no more.
    Revoked(usize),
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadLine(usize);

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("there is no line with a host key"),
            n if n > LINES_MAX => write!(f, "there are more than {LINES_MAX} lines"),
            n => write!(f, "line {n} is not `host algorithm key`"),
        }
    }
}

impl Hosts {
    /// Reads `known_hosts`; comments and empty lines are passed over, anything else must be right.
    pub(super) fn parse(text: &str) -> Result<Hosts, BadLine> {
        let mut entries = Vec::new();
        for (line, number) in text.lines().zip(1..) {
            if number > LINES_MAX {
                return Err(BadLine(number));
            }
            if let Some(entry) = KnownHosts::new(line).next() {
                entries.push((number, entry.map_err(|_| BadLine(number))?));
            }
        }
        if entries.is_empty() { Err(BadLine(0)) } else { Ok(Hosts(entries)) }
    }

    /// What `key` is worth when it is shown by that host.
    pub(super) fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let mut others = Vec::new();
        let mut known = false;
        for (line, entry) in self.of(host, port) {
            let same = entry.public_key().key_data() == key.key_data();
            match entry.marker() {
                Some(Marker::Revoked) if same => return Verdict::Revoked(*line),
                // Certificates of hosts are not asked for, so their authorities say nothing here.
                Some(Marker::Revoked | Marker::CertAuthority) => {}
                None if same => known = true,
                None => others.push((*line, print(entry.public_key()))),
            }
        }
        match (known, others.is_empty()) {
            (true, _) => Verdict::Known,
            (false, true) => Verdict::Unknown,
            (false, false) => Verdict::Changed(others),
        }
    }

    /// The kinds of keys that are known of a host: a server with several must show one of them.
    pub(super) fn algorithms(&self, host: &str, port: u16) -> Vec<Algorithm> {
        let plain = self.of(host, port).filter(|(_, entry)| entry.marker().is_none());
        plain.map(|(_, entry)| entry.public_key().algorithm()).collect()
    }

    fn of(&self, host: &str, port: u16) -> impl Iterator<Item = &(usize, Entry)> {
        let host = host.to_ascii_lowercase();
        let name = if port == 22 { host } else { format!("[{host}]:{port}") };
        self.0.iter().filter(move |(_, entry)| matches(entry.host_patterns(), &name))
    }
}

/// A key as people compare it: `ssh-ed25519 SHA256:…`.
pub(super) fn print(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm().as_str(), key.fingerprint(HashAlg::Sha256))
}

fn matches(patterns: &HostPatterns, name: &str) -> bool {
    match patterns {
        HostPatterns::HashedName { salt, hash } => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
            hmac::verify(&key, name.as_bytes(), hash).is_ok()
        }
        HostPatterns::Patterns(patterns) => {
            let hit =
                |pattern: &str| fits(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
            let refused = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(hit);
            !refused && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| hit(p))
        }
    }
}

/// `*` stands for any text, `?` for one character.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == b'?' || pattern[p] == name[n]) {
            p += 1;
            n += 1;
        } else if let Some((at, taken)) = star {
            star = Some((at, taken + 1));
            p = at + 1;
            n = taken + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const TWO: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMzqBYB3fAVnXTEbvyn4XMtQNnlDfhTQTb2rLEdvfBcx";

    fn check(text: &str, host: &str, port: u16, expect: &Verdict) {
        let key = PublicKey::from_openssh(ONE).unwrap();
        assert_eq!(Hosts::parse(text).unwrap().judge(host, port, &key), *expect, "{text}");
    }

    #[test]
    fn a_host_is_found_by_name_port_pattern_and_hash() {
        let known = Verdict::Known;
        check(&format!("git.example {ONE}"), "git.example", 22, &known);
        check(&format!("git.example {ONE}"), "Git.Example", 22, &known);
        check(&format!("a.example,git.example {ONE} comment"), "git.example", 22, &known);
        check(&format!("[git.example]:2222 {ONE}"), "git.example", 2222, &known);
        check(&format!("*.example {ONE}"), "git.example", 22, &known);
        check(
            &format!("# first\n\ngit.example {TWO}\ngit.example {ONE}"),
            "git.example",
            22,
            &known,
        );
        // ssh-keygen -H of `git.example`
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"01234567890123456789");
        let base64 = |bytes: &[u8]| {
            base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
        };
        let hash = base64(hmac::sign(&key, b"git.example").as_ref());
        let hashed = format!("|1|{}|{hash} {ONE}", base64(b"01234567890123456789"));
        check(&hashed, "git.example", 22, &known);
        check(&hashed, "other.example", 22, &Verdict::Unknown);
    }

    #[test]
    fn what_is_not_known_is_told_from_what_has_changed() {
        check(&format!("other.example {ONE}"), "git.example", 22, &Verdict::Unknown);
        check(&format!("git.example {ONE}"), "git.example", 2222, &Verdict::Unknown);
        check(&format!("*.example,!git.example {ONE}"), "git.example", 22, &Verdict::Unknown);
        check(&format!("@cert-authority git.example {ONE}"), "git.example", 22, &Verdict::Unknown);
        let two = PublicKey::from_openssh(TWO).unwrap();
        let changed = Verdict::Changed(vec![(2, print(&two))]);
        check(&format!("# note\ngit.example {TWO}"), "git.example", 22, &changed);
        let both = format!("git.example {ONE}\n@revoked git.example {ONE}");
        check(&both, "git.example", 22, &Verdict::Revoked(2));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        for (text, says) in [
            ("", "no line"),
            ("# only a comment", "no line"),
            ("git.example", "line 1"),
            ("git.example ssh-ed25519 AAAA", "line 1"),
        ] {
            let bad = Hosts::parse(text).unwrap_err().to_string();
            assert!(bad.contains(says), "{text}: {bad}");
        }
    }
}
