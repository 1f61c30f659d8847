//! One text or a list of texts, each with its place.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// What was written: the place of a single text is that of the whole.
#[derive(Debug)]
pub(super) enum Texts {
    One(String),
    Many(Vec<Spanned<String>>),
}

/// All of them with the line of each.
pub(super) fn each(texts: &Spanned<Texts>) -> Vec<(u64, &str)> {
    match &texts.value {
        Texts::One(text) => vec![(texts.referenced.line(), text.as_str())],
        Texts::Many(all) => all.iter().map(|t| (t.referenced.line(), t.value.as_str())).collect(),
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextsVisitor)
    }
}

struct TextsVisitor;

impl<'de> Visitor<'de> for TextsVisitor {
    type Value = Texts;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, text: &str) -> Result<Texts, E> {
        Ok(Texts::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Texts, A::Error> {
        let mut all = Vec::new();
        while let Some(text) = access.next_element()? {
            all.push(text);
        }
        Ok(Texts::Many(all))
    }
}
