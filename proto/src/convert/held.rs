//! One digest over all that an agent holds, so that two sides can agree in 32 bytes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::{AppName, Digest, Epoch};

/// Per App: epoch of the held grant, its digest, and the highest fence promised.
pub type Held = BTreeMap<AppName, (Epoch, Option<Digest>, Epoch)>;

/// SHA-256 over one line `app epoch digest fence\n` per App, in order of name; a missing digest is `-`.
/// Hub and agent compute it alike; equal means that nothing has to be said.
pub fn held_digest(held: &Held) -> Digest {
    let mut text = String::new();
    for (app, (epoch, digest, fence)) in held {
        let digest = digest.map_or_else(|| "-".to_owned(), |d| d.to_string());
        writeln!(text, "{app} {epoch} {digest} {fence}").expect("a String takes all writes");
    }
    Digest::of(text.as_bytes())
}
