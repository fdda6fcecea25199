//! Who wants to hear of rests: [`Followers`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use lb_core::RandomSource;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::connection::Link;
use crate::watch::{Ear, Listen, Sound};

type Listener = Box<dyn Fn(Duration) + Send + Sync>;
type Numbered = (u64, Arc<Listener>);

#[derive(Default)]
struct Listeners(Mutex<HashMap<Arc<str>, Vec<Numbered>>>);

/// One subscription for all rests of a process, made when the first key is followed.
pub(crate) struct Followers {
    listeners: Arc<Listeners>,
    orders: mpsc::UnboundedSender<Listen>,
    numbers: std::sync::atomic::AtomicU64,
    tasks: [AbortHandle; 2],
}

impl Drop for Followers {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Followers {
    pub(super) fn start(link: Link, random: &Arc<dyn RandomSource>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let (tell, mut sounds) = mpsc::unbounded_channel();
        let ear = tokio::spawn(Ear::new(link, Arc::clone(random), received, tell).run());
        let listeners = Arc::<Listeners>::default();
        let hearing = Arc::clone(&listeners);
        let pass_on = tokio::spawn(async move {
            while let Some(sound) = sounds.recv().await {
                // A rest that is not heard is told with the next lease.
                if let Sound::Payload { channel, payload } = sound {
                    hearing.tell(&channel, &payload);
                }
            }
        });
        let tasks = [ear.abort_handle(), pass_on.abort_handle()];
        Self { listeners, orders, numbers: std::sync::atomic::AtomicU64::new(0), tasks }
    }

    pub(super) fn follow(&self, channel: Arc<str>, listener: Listener) -> Following {
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        {
            let mut all = self.listeners.0.lock().unwrap_or_else(PoisonError::into_inner);
            let here = all.entry(Arc::clone(&channel)).or_default();
            here.push((number, Arc::new(listener)));
            // Under the lock, so that orders come in the order of changes.
            if here.len() == 1 {
                let _ = self.orders.send(Listen::To(Arc::clone(&channel)));
            }
        }
        Following { listeners: Arc::downgrade(&self.listeners), orders: self.orders.clone(), channel, number }
    }
}

impl Listeners {
    fn tell(&self, channel: &str, payload: &[u8]) {
        let Some(remaining) = std::str::from_utf8(payload).ok().and_then(|ms| ms.parse().ok()) else {
            return;
        };
        let here: Vec<Arc<Listener>> = {
            let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(channel).into_iter().flatten().map(|(_, listener)| Arc::clone(listener)).collect()
        };
        for listener in here {
            listener(Duration::from_millis(remaining));
        }
    }
}

/// Lives as long as somebody follows.
pub(super) struct Following {
    listeners: Weak<Listeners>,
    orders: mpsc::UnboundedSender<Listen>,
    channel: Arc<str>,
    number: u64,
}

impl Drop for Following {
    fn drop(&mut self) {
        let Some(listeners) = self.listeners.upgrade() else { return };
        let mut all = listeners.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(here) = all.get_mut(&self.channel) {
            here.retain(|(number, _)| *number != self.number);
            if here.is_empty() {
                all.remove(&self.channel);
                let _ = self.orders.send(Listen::NoMore(Arc::clone(&self.channel)));
            }
        }
    }
}
