//! What providers say of quotas in the headers and bodies of their answers, for classifiers and closures of your own.
//!
//! Every vendor says it in another form. These functions read those that are in use; they know no HTTP library, but are
//! given a closure that looks a header up by its name (in lower case), and the time. Values that make no sense are passed
//! over. Nothing here panics, whatever the provider sends, and nothing is longer than [`LONGEST`].
//!
//! ```
//! use std::collections::HashMap;
//! use std::time::{Duration, SystemTime};
//! use lb_core::Failure;
//! use lb_core::headers::{quota_hint, retry_after};
//!
//! let headers = HashMap::from([
//!     ("retry-after", "2"),
//!     ("x-ratelimit-limit-requests", "60"),
//!     ("x-ratelimit-remaining-requests", "0"),
//!     ("x-ratelimit-reset-requests", "1m0s"),
//! ]);
//! let header = |name: &str| headers.get(name).copied();
//! let after = retry_after(header, SystemTime::now());
//! assert_eq!(after, Some(Duration::from_secs(2)));
//! let failure = Failure::limit_exceeded().with_retry_after(after);
//!
//! let hint = quota_hint(header, SystemTime::now()); // for `Picked::hint`
//! assert_eq!((hint.limit_requests, hint.remaining_requests), (Some(60), Some(0)));
//! assert_eq!(hint.reset_after, Some(Duration::from_secs(60)));
//! # let _ = failure;
//! ```

mod times;

use std::time::{Duration, SystemTime};

pub use times::LONGEST;
use times::{after_millis, after_seconds, http_date, reset};

use crate::limit::QuotaHint;

/// How long the provider asks to be left alone: `retry-after-ms` or `x-ms-retry-after-ms` (`OpenAI`, Azure), which are the
/// most exact; else `retry-after` in seconds, whole or fractional, or as an HTTP date (RFC 9110, 10.2.3). A date that is
/// past is zero.
pub fn retry_after<'h>(header: impl Fn(&str) -> Option<&'h str>, now: SystemTime) -> Option<Duration> {
    let header = |name: &str| header(name).map(str::trim);
    header("retry-after-ms")
        .and_then(after_millis)
        .or_else(|| header("x-ms-retry-after-ms").and_then(after_millis))
        .or_else(|| {
            header("retry-after").and_then(|text| after_seconds(text).or_else(|| http_date(text, now)))
        })
}

/// What is left of the quota, as `OpenAI`, Azure, Groq and others say it (`x-ratelimit-remaining-requests`, with `limit`
/// and `reset`, and the same with `tokens`), as Anthropic does (`anthropic-ratelimit-requests-remaining`), and as many
/// gateways do (`x-ratelimit-remaining`, `ratelimit-remaining`). Resets are durations (`6m0s`, `20ms`), seconds, points in
/// time in seconds or milliseconds since 1970, or dates (RFC 3339). Azure's −1 means that nothing is known.
///
/// [Empty](QuotaHint::is_empty) if the answer says nothing of that.
pub fn quota_hint<'h>(header: impl Fn(&str) -> Option<&'h str>, now: SystemTime) -> QuotaHint {
    let text = |names: &[&str]| names.iter().find_map(|name| header(name)).map(str::trim);
    let number = |names: &[&str]| text(names)?.parse::<u64>().ok();
    let time = |names: &[&str]| reset(text(names)?, now);
    QuotaHint {
        limit_requests: number(&[
            "x-ratelimit-limit-requests",
            "anthropic-ratelimit-requests-limit",
            "x-ratelimit-limit",
            "ratelimit-limit",
        ]),
        remaining_requests: number(&[
            "x-ratelimit-remaining-requests",
            "anthropic-ratelimit-requests-remaining",
            "x-ratelimit-remaining",
            "ratelimit-remaining",
        ]),
        reset_after: time(&[
            "x-ratelimit-reset-requests",
            "anthropic-ratelimit-requests-reset",
            "x-ratelimit-reset",
            "ratelimit-reset",
        ]),
        limit_tokens: number(&[
            "x-ratelimit-limit-tokens",
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-input-tokens-limit",
        ]),
        remaining_tokens: number(&[
            "x-ratelimit-remaining-tokens",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-input-tokens-remaining",
        ]),
        tokens_reset_after: time(&[
            "x-ratelimit-reset-tokens",
            "anthropic-ratelimit-tokens-reset",
            "anthropic-ratelimit-input-tokens-reset",
        ]),
    }
}

/// The largest body that [`retry_info`] looks at.
const LARGEST_BODY: usize = 1 << 20;

/// How long Google's APIs (Gemini) ask to be left alone: `retryDelay` of the `RetryInfo` in the body of an error, such as
/// `"34.07s"`. Bodies of more than a mebibyte are not looked at.
///
/// ```
/// # use std::time::Duration;
/// let body = r#"{"error": {"code": 429, "details": [
///     {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}]}}"#;
/// assert_eq!(lb_core::headers::retry_info(body), Some(Duration::from_millis(34_070)));
/// ```
pub fn retry_info(body: &str) -> Option<Duration> {
    if body.len() > LARGEST_BODY || !body.contains("retryDelay") {
        return None;
    }
    // The parser bounds how deep it can be.
    find(&serde_json::from_str(body).ok()?)
}

fn find(value: &serde_json::Value) -> Option<Duration> {
    match value {
        serde_json::Value::Array(values) => values.iter().find_map(find),
        serde_json::Value::Object(fields) => {
            let delay =
                fields.get("retryDelay").and_then(|delay| after_seconds(delay.as_str()?.strip_suffix('s')?));
            delay.or_else(|| fields.values().find_map(find))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + NOW
    }

    fn hint(headers: &[(&str, &str)]) -> QuotaHint {
        quota_hint(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| *value), now())
    }

    #[test]
    fn all_forms_of_retry_after() {
        let date = httpdate::fmt_http_date(now() + Duration::from_secs(90));
        let past = httpdate::fmt_http_date(now() - Duration::from_secs(90));
        let cases = [
            ("retry-after", "20", Some(20_000)),
            ("retry-after", " 0.25 ", Some(250)),
            ("retry-after", "0", Some(0)),
            ("retry-after", &date, Some(90_000)),
            ("retry-after", &past, Some(0)),
            ("retry-after", "-3", None),
            ("retry-after", "1e300", None),
            ("retry-after", "inf", None),
            ("retry-after", "soon", None),
            ("retry-after", "", None),
            ("retry-after-ms", "1500", Some(1500)),
            ("x-ms-retry-after-ms", "7.5", Some(8)),
            ("retry-after-ms", "NaN", None),
            ("x-other", "1", None),
        ];
        for (name, value, millis) in cases {
            let after = retry_after(|asked| (asked == name).then_some(value), now());
            let millis: Option<u64> = millis;
            assert_eq!(after.map(|after| after.as_micros().div_ceil(1000) as u64), millis, "{name}: {value}");
        }
        let both = retry_after(|name| Some(if name == "retry-after-ms" { "120" } else { "1" }), now());
        assert_eq!(both, Some(Duration::from_millis(120)), "milliseconds come first");
    }

    #[test]
    fn the_forms_of_openai_and_azure() {
        let said = hint(&[
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-reset-requests", "8.64s"),
            ("x-ratelimit-limit-tokens", "200000"),
            ("x-ratelimit-remaining-tokens", "199977"),
            ("x-ratelimit-reset-tokens", "6ms"),
        ]);
        let expected = QuotaHint::new()
            .limit_requests(10_000)
            .remaining_requests(9_999)
            .reset_after(Duration::from_millis(8_640))
            .limit_tokens(200_000)
            .remaining_tokens(199_977)
            .tokens_reset_after(Duration::from_millis(6));
        assert_eq!(said, expected);
        assert!(
            hint(&[("x-ratelimit-remaining-requests", "-1"), ("x-ratelimit-reset-tokens", "-1")]).is_empty()
        );
        assert_eq!(hint(&[("x-ratelimit-remaining-requests", "0")]).remaining_requests, Some(0));
    }

    #[test]
    fn the_forms_of_anthropic_and_of_gateways() {
        let said = hint(&[
            ("anthropic-ratelimit-requests-limit", "50"),
            ("anthropic-ratelimit-requests-remaining", "49"),
            ("anthropic-ratelimit-requests-reset", "2023-11-14T22:13:21Z"),
            ("anthropic-ratelimit-input-tokens-remaining", "1000"),
        ]);
        assert_eq!((said.limit_requests, said.remaining_requests), (Some(50), Some(49)));
        assert_eq!((said.reset_after, said.remaining_tokens), (Some(Duration::from_secs(1)), Some(1000)));
        let reset = |text| hint(&[("x-ratelimit-reset", text)]).reset_after;
        assert_eq!(reset("1700000030"), Some(Duration::from_secs(30)));
        assert_eq!(reset("1700000030000"), Some(Duration::from_secs(30)));
        assert_eq!(reset("30"), Some(Duration::from_secs(30)));
        assert_eq!(reset("6m0s"), Some(Duration::from_secs(360)));
        assert_eq!(reset("1h2m3.5s"), Some(Duration::from_millis(3_723_500)));
        assert_eq!(reset("1600000000"), Some(Duration::ZERO), "past");
        for nonsense in ["", "s", "m", "1x", "1", "999999999999999999999h", "1h-2m", "٣s", "1..5s", ".s"] {
            let time = reset(nonsense);
            assert!(time.is_none_or(|time| time <= LONGEST), "{nonsense}: {time:?}");
        }
    }

    #[test]
    fn bodies_of_gemini() {
        let body =
            r#"[{"error":{"details":[{"@type":"a"},{"@type":"b.RetryInfo","retryDelay":"34.074824224s"}]}}]"#;
        assert_eq!(retry_info(body), Some(Duration::from_nanos(34_074_824_224)));
        for body in
            ["", "retryDelay", r#"{"retryDelay":34}"#, r#"{"retryDelay":"-1s"}"#, r#"{"retryDelay":"s"}"#]
        {
            assert_eq!(retry_info(body), None, "{body}");
        }
        let deep = format!("{}\"retryDelay\"{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(retry_info(&deep), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_everything_is_bounded(text in ".{0,40}", number in any::<f64>(), digits in "[0-9.]{0,25}(ms|h|m|s|us)?",
                                                    secs in 0_u64..1 << 40) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            for value in [text.as_str(), &number.to_string(), &digits] {
                let bounded = |time: Option<Duration>| time.is_none_or(|time| time <= LONGEST);
                prop_assert!(bounded(retry_after(|_| Some(value), now)));
                let hint = quota_hint(|_| Some(value), now);
                prop_assert!(bounded(hint.reset_after) && bounded(hint.tokens_reset_after));
                let body = serde_json::json!({ "retryDelay": value }).to_string();
                prop_assert!(bounded(retry_info(&body)), "{}", body);
            }
        }
    }
}
