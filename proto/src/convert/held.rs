//! One digest over all that an agent holds, so that two sides can agree in 32 bytes, and one mark over how a
//! grant is followed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::num::NonZeroU32;

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

/// The first four bytes of SHA-256 over one line each for the drift mode (empty is `correct`) and the lifted
/// gates in order, and the choices: what makes two grants of one epoch differ for an agent. Not a secret and
/// no proof; equal marks of different options (one in four thousand million) would delay a change until the next one.
pub fn options_mark<'a>(
    drift: &str,
    allow: impl IntoIterator<Item = &'a str>,
    choices: &[u8],
) -> NonZeroU32 {
    let mut allow: Vec<&str> = allow.into_iter().collect();
    allow.sort_unstable();
    let drift = if drift.is_empty() { "correct" } else { drift };
    let text = format!("{drift}\n{}\n", allow.join("\n"));
    let digest = Digest::of(&[text.as_bytes(), choices].concat());
    let [a, b, c, d, ..] = *digest.as_bytes();
    NonZeroU32::new(u32::from_be_bytes([a, b, c, d])).unwrap_or(NonZeroU32::MIN)
}
