//! How long a vendor asks to be left alone, in the forms that vendors use.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// `retry-after-ms` (of `OpenAI` and Azure) is the most exact and comes first; then `retry-after` in seconds, whole or
/// fractional, or as a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |text: &str| text.parse().ok().and_then(|n| Duration::try_from_secs_f64(n).ok());
    let millis =
        |text: &str| text.parse::<f64>().ok().and_then(|n| Duration::try_from_secs_f64(n / 1000.0).ok());
    let date =
        |text| httpdate::parse_http_date(text).ok().map(|at| at.duration_since(now).unwrap_or_default());
    header("retry-after-ms")
        .and_then(millis)
        .or_else(|| header("retry-after").and_then(|text| seconds(text).or_else(|| date(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let date = httpdate::fmt_http_date(now + Duration::from_secs(90));
        let past = httpdate::fmt_http_date(now - Duration::from_secs(90));
        let cases = [
            ("retry-after", "20", Some(20_000)),
            ("retry-after", " 0.25 ", Some(250)),
            ("retry-after", "0", Some(0)),
            ("retry-after", &date, Some(90_000)),
            ("retry-after", &past, Some(0)),
            ("retry-after", "-3", None),
            ("retry-after", "1e300", None),
            ("retry-after", "soon", None),
            ("retry-after-ms", "1500", Some(1500)),
            ("retry-after-ms", "NaN", None),
            ("x-other", "1", None),
        ];
        for (name, value, millis) in cases {
            let headers = HeaderMap::from_iter([(name.parse().unwrap(), value.parse().unwrap())]);
            let expected = millis.map(Duration::from_millis);
            assert_eq!(retry_after(&headers, now), expected, "{name}: {value}");
        }
    }

    #[test]
    fn milliseconds_come_first() {
        let pair = [("retry-after", "1"), ("retry-after-ms", "120")];
        let headers = pair.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let after = retry_after(&HeaderMap::from_iter(headers), SystemTime::UNIX_EPOCH);
        assert_eq!(after, Some(Duration::from_millis(120)));
    }
}
