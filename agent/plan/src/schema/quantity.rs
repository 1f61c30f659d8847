//! Quantities: `1000m` is `1`, `1Gi` is `1073741824`.

use serde_json::Value;

/// Smallest part that is told apart: one billionth, as in the API.
const NANO_DIGITS: i32 = 9;

/// Whether two values are the same amount. Values that are no quantities are compared as they are.
pub(crate) fn same_quantity(a: &Value, b: &Value) -> bool {
    match (nano(a), nano(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// The amount in billionths; `None` when it is none.
pub(crate) fn nano(value: &Value) -> Option<i128> {
    match value {
        Value::Number(n) => parse(&n.to_string()),
        Value::String(text) => parse(text.trim()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn parse(text: &str) -> Option<i128> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(digits);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let (ten, two) = scale(suffix)?;
    let exponent = NANO_DIGITS + ten - i32::try_from(fraction.len()).ok()?;
    let scaled = mantissa.checked_mul(1_i128.checked_shl(two)?)?;
    let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    // Below a billionth the API rounds up.
    let amount = if exponent >= 0 {
        scaled.checked_mul(factor)?
    } else {
        scaled.checked_add(factor - 1)? / factor
    };
    Some(if negative { -amount } else { amount })
}

/// Powers of ten and of two of a suffix.
fn scale(suffix: &str) -> Option<(i32, u32)> {
    Some(match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => (suffix.strip_prefix(['e', 'E'])?.parse().ok()?, 0),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_amount_has_many_spellings() {
        for (a, b) in [
            (json!("1000m"), json!("1")),
            (json!(1), json!("1")),
            (json!("0.5"), json!("500m")),
            (json!("1Gi"), json!("1024Mi")),
            (json!("1Gi"), json!(1_073_741_824)),
            (json!("1e3"), json!("1k")),
            (json!("1.0"), json!("1")),
            (json!("100E"), json!("100E")),
        ] {
            assert!(same_quantity(&a, &b), "{a} {b}");
        }
        for (a, b) in [("1G", "1Gi"), ("1m", "1"), ("one", "1"), ("-1", "1"), ("1k", "1K")] {
            assert!(!same_quantity(&json!(a), &json!(b)), "{a} {b}");
        }
    }
}
