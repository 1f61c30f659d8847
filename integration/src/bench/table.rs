//! The table.
#![expect(clippy::print_stdout, reason = "the table is the product")]

use std::time::Duration;

/// One line: a figure and how it came about.
#[derive(Debug)]
pub(super) struct Row {
    name: String,
    value: String,
    unit: &'static str,
    how: String,
}

impl Row {
    pub(super) fn value(
        name: impl Into<String>,
        value: impl std::fmt::Display,
        unit: &'static str,
        how: impl Into<String>,
    ) -> Row {
        Row { name: name.into(), value: value.to_string(), unit, how: how.into() }
    }

    /// Smallest, middle and largest.
    pub(super) fn spread(
        name: impl Into<String>,
        samples: &[f64],
        unit: &'static str,
        how: impl AsRef<str>,
    ) -> Row {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let ends = sorted.first().zip(sorted.last());
        let value = ends.map_or_else(
            || "-".to_owned(),
            |(min, max)| format!("{min:.0} / {:.0} / {max:.0}", median(samples)),
        );
        let how = format!("{} samples; {}", samples.len(), how.as_ref());
        Row { name: name.into(), value, unit, how }
    }

    pub(super) fn failed(name: String) -> Row {
        Row { name, value: "FAILED".to_owned(), unit: "", how: "see the error above".to_owned() }
    }
}

/// The middle one, or the mean of the two in the middle; 0 of none.
pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (None, _) => 0.0,
        (Some(high), 0) => f64::midpoint(sorted[middle - 1], *high),
        (Some(only), _) => *only,
    }
}

/// In milliseconds.
pub(super) fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// All rows under one head.
pub(super) fn print(rows: &[Row]) {
    let width = |of: fn(&Row) -> usize, least| rows.iter().map(of).max().unwrap_or(0).max(least);
    let name = width(|r| r.name.len(), 4);
    let value = width(|r| r.value.len(), 24);
    let unit = width(|r| r.unit.len(), 4);
    println!("{:name$}  {:>value$}  {:unit$}  HOW MEASURED", "NAME", "MIN / MEDIAN / MAX", "UNIT");
    for row in rows {
        println!("{:name$}  {:>value$}  {:unit$}  {}", row.name, row.value, row.unit, row.how);
    }
}
