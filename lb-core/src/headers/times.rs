//! The ways in which providers write times.

use std::time::{Duration, SystemTime};

/// The longest time that is taken from a header: a year. What is longer is taken for that.
pub const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Numbers from here on are points in time: seconds since 1970, and from the second one on milliseconds.
const EPOCH_SECONDS: f64 = 1e9;
const EPOCH_MILLIS: f64 = 1e12;

fn seconds(n: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(n).ok().map(|time| time.min(LONGEST))
}

/// A number of seconds, whole or fractional.
pub(super) fn after_seconds(text: &str) -> Option<Duration> {
    text.parse().ok().filter(|n| *n < EPOCH_SECONDS).and_then(seconds)
}

/// A number of milliseconds, whole or fractional.
pub(super) fn after_millis(text: &str) -> Option<Duration> {
    text.parse::<f64>().ok().filter(|n| *n < EPOCH_MILLIS).and_then(|n| seconds(n / 1000.0))
}

/// A date in one of the forms of HTTP.
pub(super) fn http_date(text: &str, now: SystemTime) -> Option<Duration> {
    Some(until(httpdate::parse_http_date(text).ok()?, now))
}

/// When a quota is replenished, in any of the forms in use.
pub(super) fn reset(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(number) = text.parse::<f64>() {
        if number < EPOCH_SECONDS {
            return seconds(number);
        }
        let scale = if number < EPOCH_MILLIS { 1.0 } else { 1e-3 };
        let since_1970 = Duration::try_from_secs_f64(number * scale).ok()?;
        return Some(until(SystemTime::UNIX_EPOCH.checked_add(since_1970)?, now));
    }
    units(text)
        .or_else(|| humantime::parse_rfc3339_weak(text).ok().map(|at| until(at, now)))
        .or_else(|| http_date(text, now))
}

fn until(at: SystemTime, now: SystemTime) -> Duration {
    at.duration_since(now).unwrap_or_default().min(LONGEST)
}

/// Numbers with units, as Go writes durations: `6m0s`, `1h2m3.5s`, `20ms`.
fn units(mut text: &str) -> Option<Duration> {
    let mut total = 0.0;
    while !text.is_empty() {
        let number = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (value, rest) = text.split_at(number);
        let unit = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (unit, rest) = rest.split_at(unit);
        total += value.parse::<f64>().ok()? * scale(unit)?;
        text = rest;
    }
    seconds(total)
}

fn scale(unit: &str) -> Option<f64> {
    Some(match unit {
        "d" => 86_400.0,
        "h" => 3_600.0,
        "m" => 60.0,
        "s" => 1.0,
        "ms" => 1e-3,
        "us" | "µs" | "μs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    })
}
