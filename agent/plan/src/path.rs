//! Exact field paths, as people write them: `spec.ports[1].port`, `metadata.labels["a.b/c"]`.

use crate::fields::Part;

/// Path of a field below another.
pub(crate) fn field(base: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match (base.is_empty(), name.chars().all(plain)) {
        (true, true) => name.to_owned(),
        (false, true) => format!("{base}.{name}"),
        (_, false) => format!("{base}[\"{name}\"]"),
    }
}

/// Path of an item of a list.
pub(crate) fn item(base: &str, at: usize) -> String {
    format!("{base}[{at}]")
}

/// The parts of a path of plain fields.
pub(crate) fn parts(names: &[&str]) -> Vec<Part> {
    names.iter().map(|name| Part::Field((*name).to_owned())).collect()
}
