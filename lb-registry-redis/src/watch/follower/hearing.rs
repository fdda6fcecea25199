//! What the subscription says.

use std::sync::Arc;
use std::time::SystemTime;

use lb_core::registry::shared::Change;
use lb_core::{Clock, ServiceInstance};
use tracing::debug;

use super::{Follower, State};
use crate::watch::ear::Sound;
use crate::watch::health::Need;
use crate::watch::message::Message;
use crate::watch::sync::Heard;

impl<I: ServiceInstance> Follower<I> {
    pub(super) fn hear(&self, state: &mut State, sounds: impl Iterator<Item = Sound>) {
        let now = self.clock.now();
        let mut changes: Vec<Change<I>> = Vec::new();
        for sound in sounds {
            match sound {
                Sound::Listening(channels) => {
                    state.scan_at = now;
                    self.catalog.counters().contact(SystemTime::now());
                    state.health.met(&Need::Subscription);
                    for channel in channels {
                        if let Some((name, followed)) = state
                            .by_channel
                            .get(&channel)
                            .and_then(|name| Some((name, state.services.get_mut(name)?)))
                        {
                            // What was said before is not known; what is read from now on, and what is heard, is a chain.
                            followed.listening = true;
                            followed.sync.lost();
                            followed.read_at = now;
                            state.health.missing(Need::Service(Arc::clone(name)), now);
                        }
                    }
                }
                Sound::Lost(why) => {
                    state.scan_at = now;
                    debug!(why, "changes are not heard");
                    if !state.services.is_empty() {
                        state.health.missing(Need::Subscription, now);
                    }
                    for (name, followed) in &mut state.services {
                        // Said after each attempt; only the first takes something away.
                        if !std::mem::take(&mut followed.listening) {
                            continue;
                        }
                        followed.deaf_since = now;
                        followed.sync.lost();
                        state.health.missing(Need::Service(Arc::clone(name)), now);
                    }
                }
                Sound::Payload { channel, payload } => {
                    let Some(service) = state.by_channel.get(channel.as_str()).cloned() else { continue };
                    let Some(followed) = state.services.get_mut(&service) else { continue };
                    let Some(message) = Message::parse(&payload) else {
                        debug!(%service, "something that is no change was published");
                        continue;
                    };
                    match followed.sync.heard(message) {
                        Heard::Nothing => {}
                        Heard::Apply(message) => changes.extend(self.translator.message(&service, &message)),
                        Heard::Read => {
                            debug!(%service, "a change was not heard; the service is read");
                            followed.read_at = now;
                            state.scan_at = now;
                            state.health.missing(Need::Service(service), now);
                        }
                    }
                }
            }
        }
        if !changes.is_empty() {
            self.catalog.counters().contact(SystemTime::now());
            self.catalog.apply(changes, now);
        }
    }
}
