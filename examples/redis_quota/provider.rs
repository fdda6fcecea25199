//! A vendor that counts exactly: [`Provider`].

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::Result;

pub(crate) const YES: u8 = b'y';
pub(crate) const NO: u8 = b'n';
pub(crate) const STAY_AWAY: u8 = b's';

struct State {
    per_second: f64,
    /// What has piled up, at most a second's worth, and when that was counted.
    piled_up: f64,
    at: Instant,
    share: Share,
    send_away: bool,
    sent_away: Option<Instant>,
    last: Option<Instant>,
}

/// Who got how much.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    left: u64,
    right: u64,
    refused: u64,
    quota: f64,
}

impl Share {
    /// The part of the quota that was used.
    pub(crate) fn used(&self) -> f64 {
        (self.left + self.right) as f64 / self.quota
    }

    /// The part of the requests that were refused.
    pub(crate) fn refused(&self) -> f64 {
        self.refused as f64 / (self.left + self.right + self.refused) as f64
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "left got {}, right got {}: {:.1} % of the quota of {:.0}; {} were refused",
            self.left,
            self.right,
            self.used() * 100.0,
            self.quota,
            self.refused
        )
    }
}

#[derive(Clone)]
pub(crate) struct Provider {
    state: Arc<Mutex<State>>,
    address: String,
}

impl Provider {
    pub(crate) async fn start(per_minute: u32) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let per_second = f64::from(per_minute) / 60.0;
        let state = State {
            per_second,
            piled_up: per_second,
            at: Instant::now(),
            share: Share::default(),
            send_away: false,
            sent_away: None,
            last: None,
        };
        let provider =
            Self { state: Arc::new(Mutex::new(state)), address: listener.local_addr()?.to_string() };
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let mut who = [0];
                    if stream.read_exact(&mut who).await.is_ok() {
                        let answer = serving.answer(who[0]);
                        let _ = stream.write_all(&[answer]).await;
                    }
                });
            }
        });
        Ok(provider)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, who: u8) -> u8 {
        let mut state = self.lock();
        let now = Instant::now();
        state.last = Some(now);
        if std::mem::take(&mut state.send_away) {
            state.sent_away = Some(now);
            return STAY_AWAY;
        }
        let elapsed = (now - state.at).as_secs_f64();
        state.piled_up = (state.piled_up + elapsed * state.per_second).min(state.per_second);
        state.at = now;
        if state.piled_up < 1.0 {
            state.share.refused += 1;
            return NO;
        }
        state.piled_up -= 1.0;
        if who == b'l' {
            state.share.left += 1;
        } else {
            state.share.right += 1;
        }
        YES
    }

    pub(crate) async fn first_request(&self) {
        while self.lock().last.is_none() {
            sleep(Duration::from_millis(10)).await;
        }
        // Both have come by then, and what had piled up is used.
        sleep(Duration::from_secs(2)).await;
    }

    pub(crate) async fn count_for(&self, length: Duration) -> Share {
        self.lock().share = Share::default();
        let start = Instant::now();
        sleep(length).await;
        let state = self.lock();
        Share { quota: start.elapsed().as_secs_f64() * state.per_second, ..state.share }
    }

    /// Tells the next request to stay away for a minute; how much later the last one came.
    pub(crate) async fn send_one_away(&self, wait: Duration) -> Duration {
        self.lock().send_away = true;
        sleep(wait).await;
        let state = self.lock();
        match (state.sent_away, state.last) {
            (Some(sent_away), Some(last)) => last.saturating_duration_since(sent_away),
            _ => Duration::MAX,
        }
    }
}
