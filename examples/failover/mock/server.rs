//! A vendor on a loopback port: a real HTTP server that speaks the protocol of chat completions.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

use super::fault::{Trouble, Verdict};
use super::scene::{Role, VALID_KEY};

/// How many pieces a streamed answer comes in.
const PIECES: u32 = 10;

/// A running server. Dropped, it stops.
#[derive(Debug)]
pub(crate) struct MockVendor {
    pub(crate) role: Role,
    pub(crate) base_url: String,
    off: watch::Sender<bool>,
}

struct Served {
    role: Role,
    started: Instant,
    trouble: Mutex<Trouble>,
    off: watch::Receiver<bool>,
}

impl MockVendor {
    pub(crate) async fn start(role: Role, started: Instant) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let (sender, mut off) = watch::channel(false);
        let trouble = Mutex::new(Trouble::new(role.fault));
        let served = Arc::new(Served { role, started, trouble, off: off.clone() });
        let app = Router::new().route("/v1/chat/completions", post(chat)).with_state(served);
        // The pieces of a stream are small and must not wait for each other.
        let listener = listener.tap_io(|connection| _ = connection.set_nodelay(true));
        let stopped = async move { _ = off.wait_for(|off| *off).await };
        tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future());
        Ok(Self { role, base_url, off: sender })
    }

    /// Switches it off as maintenance does: streams are cut off, and nobody listens any more.
    pub(crate) fn switch_off(&self) {
        self.off.send_replace(true);
    }
}

async fn chat(State(vendor): State<Arc<Served>>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    if bearer.and_then(|bearer| bearer.strip_prefix("Bearer ")) != Some(VALID_KEY) {
        return refuse(StatusCode::UNAUTHORIZED, "invalid_api_key", "the key has expired", None);
    }
    let verdict =
        vendor.trouble.lock().unwrap_or_else(PoisonError::into_inner).judge(vendor.started.elapsed());
    match verdict {
        Verdict::Serve => serve(vendor, &request).await,
        Verdict::TooMany { retry_after } => {
            refuse(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", "slow down", Some(retry_after))
        }
        Verdict::Fail { retry_after: None } => {
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "something broke", None)
        }
        Verdict::Fail { retry_after } => {
            refuse(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "try again later", retry_after)
        }
        Verdict::Hang => std::future::pending().await,
    }
}

/// Quotas give both headers, as many vendors do; a 503 gives fractional seconds.
fn refuse(status: StatusCode, code: &str, message: &str, retry_after: Option<Duration>) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(after) = retry_after {
        if status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert("retry-after-ms", (after.as_millis() as u64 + 1).into());
            headers.insert(RETRY_AFTER, (after.as_secs() + 1).into());
        } else if let Ok(seconds) = format!("{:.3}", after.as_secs_f64()).try_into() {
            headers.insert(RETRY_AFTER, seconds);
        }
    }
    (status, headers, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
}

async fn serve(vendor: Arc<Served>, request: &Value) -> Response {
    let question = request["messages"].as_array().and_then(|messages| messages.last());
    let question = question.and_then(|message| message["content"].as_str()).unwrap_or_default();
    let text = format!("{} says: a good question. You asked: {question}", vendor.role.id);
    let tokens = text.len() / 4;
    if request["stream"] == true {
        return streamed(&vendor, &text, tokens);
    }
    tokio::time::sleep(vendor.role.delay).await;
    let choice = json!({ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" });
    Json(json!({ "choices": [choice], "usage": { "total_tokens": tokens } })).into_response()
}

fn streamed(vendor: &Served, text: &str, tokens: usize) -> Response {
    let words: Vec<_> = text.split_inclusive(' ').collect();
    let piece = words.len().div_ceil(PIECES as usize - 1).max(1);
    let mut events: Vec<_> = words
        .chunks(piece)
        .map(|words| json!({ "choices": [{ "delta": { "content": words.concat() } }] }).to_string())
        .collect();
    let last =
        json!({ "choices": [{ "delta": {}, "finish_reason": "stop" }], "usage": { "total_tokens": tokens } });
    events.extend([last.to_string(), "[DONE]".to_owned()]);
    let (pause, off) = (vendor.role.delay / PIECES, vendor.off.clone());
    let pieces = stream::unfold((events.into_iter(), off), move |(mut events, mut off)| async move {
        let event = events.next()?;
        // An error ends the connection in the middle of the answer.
        let piece = match tokio::time::timeout(pause, off.wait_for(|off| *off)).await {
            Ok(_) => Err(io::Error::other("switched off")),
            Err(_) => Ok(Event::default().data(event)),
        };
        Some((piece, (events, off)))
    });
    Sse::new(pieces).into_response()
}
