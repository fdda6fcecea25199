//! How a chat request fails, and what each failure means to the balancer.

use std::fmt;
use std::time::{Duration, SystemTime};

use loadbalance::prelude::*;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// How one attempt failed.
#[derive(Debug)]
pub(crate) enum ChatError {
    /// The vendor answered with an error.
    Refused { status: u16, code: String, message: String, retry_after: Option<Duration> },
    /// No connection, so nothing was sent.
    NotSent(String),
    /// No answer in time.
    TimedOut,
    /// The answer is cut off, or not what the protocol promises.
    Broken(String),
    /// The vendor's filter held the answer back.
    Filtered,
}

impl ChatError {
    /// From an HTTP answer that is not a success.
    pub(crate) fn from_answer(status: u16, headers: &HeaderMap, body: &str) -> Self {
        let (code, message) = code_and_message(body);
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let retry_after = loadbalance::headers::retry_after(header, SystemTime::now());
        Self::Refused { status, code, message, retry_after }
    }

    /// From an error that arrives as an event in a stream, after a status of 200.
    pub(crate) fn from_event(error: &Value) -> Self {
        let (code, message) = code_and_message(&serde_json::json!({ "error": error }).to_string());
        let status = error["status"].as_u64().or(error["code"].as_u64()).and_then(|n| u16::try_from(n).ok());
        let status = status.unwrap_or(if code.contains("rate_limit") { 429 } else { 500 });
        Self::Refused { status, code, message, retry_after: None }
    }
}

/// The body is `{"error": {"code", "type", "message"}}` at most vendors, with `code` or `type` missing at some; others
/// have the fields at the top. A proxy in between may send HTML.
fn code_and_message(body: &str) -> (String, String) {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let error = if json["error"].is_object() { &json["error"] } else { &json };
    let text = |field: &str| error[field].as_str().map(str::to_owned);
    let code = text("code").or_else(|| text("type")).unwrap_or_default();
    let message = text("message").or_else(|| json["error"].as_str().map(str::to_owned));
    (code, shortened(message.as_deref().unwrap_or(body)))
}

fn shortened(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

impl From<reqwest::Error> for ChatError {
    fn from(error: reqwest::Error) -> Self {
        // Without the address: some vendors take a key in it.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        // A connection that could not be made in time is first of all one that was not made.
        if error.is_connect() {
            Self::NotSent(text)
        } else if error.is_timeout() {
            Self::TimedOut
        } else {
            Self::Broken(text)
        }
    }
}

impl Classify for ChatError {
    fn classify(&self) -> Failure {
        let Self::Refused { status, code, retry_after, .. } = self else {
            return match self {
                Self::NotSent(_) => Failure::unreachable(),
                Self::TimedOut => Failure::timeout(),
                Self::Filtered => Failure::unsuitable(),
                _ => Failure::service(),
            };
        };
        let failure = match (*status, code.as_str()) {
            // No vendor of this model takes it: asking the next one would only cost.
            (_, "context_length_exceeded" | "content_filter" | "content_policy_violation") => {
                return Failure::unsuitable();
            }
            // At OpenAI this is not the rate but the money, and waiting does not help. Where it is the rate, the
            // vendor says for how long.
            (429, "insufficient_quota") if retry_after.is_none() => Failure::unusable(),
            (429, _) => Failure::limit_exceeded(),
            // A bad key, no money, not allowed, no such model, not the address of a chat endpoint: the vendor's entry
            // needs somebody to look at it, and meanwhile the others do.
            (401..=405, _) => Failure::unusable(),
            (408 | 504, _) => Failure::timeout(),
            (500.., _) => Failure::service(),
            _ => Failure::rejected(),
        };
        match retry_after {
            Some(after) => failure.with_retry_after(*after),
            None => failure,
        }
    }
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, code, message, .. } if code.is_empty() => {
                write!(f, "HTTP {status}: {message}")
            }
            Self::Refused { status, code, message, .. } => write!(f, "HTTP {status} ({code}): {message}"),
            Self::NotSent(cause) => write!(f, "not sent: {cause}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Broken(what) => write!(f, "broken answer: {what}"),
            Self::Filtered => f.write_str("the vendor's content filter held the answer back"),
        }
    }
}

impl std::error::Error for ChatError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, retry_after: Option<&str>) -> Failure {
        let headers = retry_after.map(|value| ("retry-after".parse().unwrap(), value.parse().unwrap()));
        let body = format!(r#"{{"error":{{"code":"{code}","message":"no"}}}}"#);
        ChatError::from_answer(status, &headers.into_iter().collect(), &body).classify()
    }

    #[test]
    fn statuses_and_codes() {
        let second = Duration::from_secs(1);
        let cases = [
            (
                refused(429, "rate_limit_exceeded", Some("1")),
                Failure::limit_exceeded().with_retry_after(second),
            ),
            (refused(429, "insufficient_quota", None), Failure::unusable()),
            (
                refused(429, "insufficient_quota", Some("1")),
                Failure::limit_exceeded().with_retry_after(second),
            ),
            (refused(401, "invalid_api_key", None), Failure::unusable()),
            (refused(402, "", None), Failure::unusable()),
            (refused(403, "", None), Failure::unusable()),
            (refused(404, "model_not_found", None), Failure::unusable()),
            (refused(408, "", None), Failure::timeout()),
            (refused(504, "", None), Failure::timeout()),
            (refused(500, "", None), Failure::service()),
            (refused(503, "", Some("1")), Failure::service().with_retry_after(second)),
            (refused(529, "overloaded_error", None), Failure::service()),
            (refused(400, "context_length_exceeded", None), Failure::unsuitable()),
            (refused(400, "content_filter", None), Failure::unsuitable()),
            (refused(400, "invalid_request_error", None), Failure::rejected()),
            (refused(422, "", None), Failure::rejected()),
        ];
        for (is, expected) in cases {
            assert_eq!(is, expected);
        }
    }

    #[test]
    fn bodies_of_all_sorts() {
        let of = |body| ChatError::from_answer(500, &HeaderMap::new(), body).to_string();
        assert_eq!(of(r#"{"error":{"type":"server_error","message":"oh"}}"#), "HTTP 500 (server_error): oh");
        assert_eq!(of(r#"{"code":"InternalError","message":"oh"}"#), "HTTP 500 (InternalError): oh");
        assert_eq!(of(r#"{"error":"oh"}"#), "HTTP 500: oh");
        assert_eq!(of("<h1>Bad\n gateway</h1>"), "HTTP 500: <h1>Bad gateway</h1>");
        assert_eq!(of(&"ä".repeat(300)).chars().count(), "HTTP 500: ".len() + 203);
    }

    #[test]
    fn an_error_inside_a_stream() {
        let error = serde_json::json!({ "code": 503, "message": "overloaded" });
        assert_eq!(ChatError::from_event(&error).classify(), Failure::service());
        let error = serde_json::json!({ "code": "content_filter", "message": "no" });
        assert_eq!(ChatError::from_event(&error).classify(), Failure::unsuitable());
        let error = serde_json::json!({ "type": "rate_limit_error", "message": "slow down" });
        assert_eq!(ChatError::from_event(&error).classify(), Failure::limit_exceeded());
    }
}
