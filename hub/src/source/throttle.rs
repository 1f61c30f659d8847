//! How long a server asks us to stay away, read from what it answers.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::HeaderMap;

/// Longest pause that is obeyed: forges count per hour, and a header with a wrong clock must not end a
/// source for good.
const PAUSE_MAX: Duration = Duration::from_hours(1);

/// Pause when a server says "too many" and no more.
const PAUSE_UNSAID: Duration = Duration::from_mins(1);

/// The pause that an answer asks for, if it does. `now` is the time of day.
pub(in crate::source) fn pause(
    status: u16,
    headers: &HeaderMap,
    now: Timestamp,
) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |name: &str| text(name).and_then(|text| text.parse::<i64>().ok());
    let spent = ["x-ratelimit-remaining", "ratelimit-remaining"].map(number).contains(&Some(0));
    let limited = matches!(status, 429 | 503) || spent;
    if !limited {
        return None;
    }
    let asked = text("retry-after").and_then(|text| retry_after(text, now));
    let reset = || {
        let reset = number("x-ratelimit-reset").or_else(|| number("ratelimit-reset"))?;
        // Either seconds from now, or the time of day in seconds since 1970.
        let wait = if reset > 1_000_000_000 { reset - now.as_second() } else { reset };
        u64::try_from(wait).ok().map(Duration::from_secs)
    };
    let pause = asked.or_else(|| spent.then(reset).flatten());
    let unsaid = (status == 429).then_some(PAUSE_UNSAID);
    pause.or(unsaid).map(|pause| pause.min(PAUSE_MAX))
}

/// Seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, headers: &[(&'static str, &str)], expect: Option<u64>) {
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect::<Vec<(reqwest::header::HeaderName, reqwest::header::HeaderValue)>>()
            .into_iter()
            .collect();
        let expect = expect.map(Duration::from_secs);
        assert_eq!(pause(status, &headers, now), expect, "{status} {headers:?}");
    }

    #[test]
    fn what_forges_say_is_understood() {
        check(200, &[], None);
        check(403, &[], None);
        check(500, &[("retry-after", "7")], None);
        check(429, &[], Some(60));
        check(429, &[("retry-after", "7")], Some(7));
        check(429, &[("retry-after", "Fri, 02 Jan 2026 03:04:35 GMT")], Some(30));
        check(429, &[("retry-after", "Fri, 02 Jan 2026 03:00:00 GMT")], Some(0));
        check(503, &[("retry-after", "9")], Some(9));
        check(503, &[], None);
        let reset = "1767323105"; // 2026-01-02T03:05:05Z
        check(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)], Some(60));
        check(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)], Some(60));
        check(200, &[("x-ratelimit-remaining", "4"), ("x-ratelimit-reset", reset)], None);
        check(429, &[("ratelimit-remaining", "0"), ("ratelimit-reset", "30")], Some(30));
    }

    #[test]
    fn nonsense_neither_ends_a_source_nor_panics() {
        check(429, &[("retry-after", "99999999999999")], Some(3600));
        check(429, &[("retry-after", "soon")], Some(60));
        check(429, &[("retry-after", "-1")], Some(60));
        check(403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "-5")], None);
    }
}
