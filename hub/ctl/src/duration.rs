//! Durations as people write them.

use std::time::Duration;

/// `90s`, `10m`, `1h30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text
        .parse()
        .map_err(|_| format!("`{text}` is not a duration; write `90s`, `10m`, `1h`"))?;
    Duration::try_from(span).map_err(|_| format!("`{text}` is negative"))
}
