//! Quantities in their canonical form: `0.5` of a CPU is stored as `500m`, `1024Mi` as `1Gi`.

use crate::schema::{Inside, Type};
use serde_json::{Value, json};

/// Rewrites every quantity in an object of this type.
pub(super) fn normalise(value: &mut Value, schema: &Type) {
    match schema.inside() {
        Inside::Quantity => {
            if let Some(text) = canonical(value) {
                *value = json!(text);
            }
        }
        Inside::List { of, .. } => {
            value.as_array_mut().into_iter().flatten().for_each(|item| normalise(item, of));
        }
        Inside::Map { fields, others } => {
            for (name, value) in value.as_object_mut().into_iter().flatten() {
                if let Some((of, _)) = Type::entry(fields, others, name) {
                    normalise(value, of);
                }
            }
        }
        Inside::Text | Inside::Number | Inside::Bool | Inside::Scalar | Inside::Free => {}
    }
}

const DECIMAL: [(&str, i32); 9] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15)];
const BINARY: [(&str, u32); 6] =
    [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

/// In billionths, so that a fraction stays exact.
const NANO: i128 = 1_000_000_000;

fn canonical(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
    };
    let split = text.find(|c: char| !(c.is_ascii_digit() || ".+-".contains(c)));
    let (number, suffix) = text.split_at(split.unwrap_or(text.len()));
    let nano = decimal(number)?;
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Some(binary(nano.checked_mul(1 << bits)?));
    }
    let exponent = match suffix.strip_prefix(['e', 'E']).filter(|rest| !rest.is_empty()) {
        Some(rest) => rest.parse().ok()?,
        None if suffix == "E" => 18,
        None => DECIMAL.iter().find(|(name, _)| *name == suffix)?.1,
    };
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    let nano = if exponent < 0 { nano / power } else { nano.checked_mul(power)? };
    Some(shortest(nano))
}

fn decimal(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let padded = format!("{fraction:0<9}");
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: i128 = padded.get(..9)?.parse().ok()?;
    Some(sign * (whole.checked_mul(NANO)? + fraction))
}

fn shortest(nano: i128) -> String {
    if nano == 0 {
        return "0".to_owned();
    }
    let fits = DECIMAL.iter().rev().find_map(|(name, exponent)| {
        let unit = 10_i128.pow(u32::try_from(exponent + 9).unwrap_or(0));
        (nano % unit == 0).then(|| format!("{}{name}", nano / unit))
    });
    fits.unwrap_or_else(|| format!("{nano}n"))
}

fn binary(nano: i128) -> String {
    if nano % NANO != 0 {
        return shortest(nano);
    }
    let bytes = nano / NANO;
    let fits = BINARY.iter().rev().find(|(_, bits)| bytes != 0 && bytes % (1 << bits) == 0);
    match fits {
        Some((name, bits)) => format!("{}{name}", bytes >> bits),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_the_server_writes_them() {
        let cases = [
            (json!("0.5"), "500m"),
            (json!(1), "1"),
            (json!("1000m"), "1"),
            (json!("1024Mi"), "1Gi"),
            (json!("1500Mi"), "1500Mi"),
            (json!("100M"), "100M"),
            (json!("0"), "0"),
            (json!("1e3"), "1k"),
            (json!("0.1"), "100m"),
            (json!("1.5Gi"), "1536Mi"),
        ];
        for (given, wanted) in cases {
            assert_eq!(canonical(&given).as_deref(), Some(wanted), "{given}");
        }
        assert_eq!(canonical(&json!("lots")), None);
    }
}
