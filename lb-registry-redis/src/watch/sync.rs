//! Whether what is known of a service is what Redis holds: [`Sync`].

use super::message::Message;

/// More changes than that while a service is being read, and it is read once more instead.
const MOST_HEARD: usize = 4096;

/// Follows the versions of one service. Pure: says when to read the service as a whole and which changes to apply.
#[derive(Debug)]
pub(crate) struct Sync {
    state: State,
    /// Counts readings, so that the answer to an outdated one is not used.
    readings: u64,
}

#[derive(Debug)]
enum State {
    /// Its version is not known; what is heard is kept until it has been read.
    Unread { heard: Vec<Message>, overflowed: bool },
    /// At this version.
    At { version: u64, epoch: Vec<u8>, doubted: bool },
}

/// What to do about something heard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Apply this change.
    Apply(Message),
    /// Nothing: it is old, or kept for later.
    Nothing,
    /// Read the service.
    Read,
}

/// What to do about a comparison of versions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    /// Nothing: all is known.
    Same,
    /// Compare once more, soon: a message may be on its way.
    Doubt,
    /// Read the service.
    Read,
}

impl Default for Sync {
    fn default() -> Self {
        Self { state: State::Unread { heard: Vec::new(), overflowed: false }, readings: 0 }
    }
}

impl Sync {
    /// The version that is known; `None` while the service must be read.
    pub(crate) fn version(&self) -> Option<u64> {
        match &self.state {
            State::At { version, .. } => Some(*version),
            State::Unread { .. } => None,
        }
    }

    /// Whether a comparison has found another version.
    pub(crate) fn is_doubted(&self) -> bool {
        matches!(self.state, State::At { doubted: true, .. })
    }

    /// A reading begins. Its number belongs to its answer.
    pub(crate) fn reading(&mut self) -> u64 {
        self.readings += 1;
        self.readings
    }

    /// Nothing that was heard so far can be relied on: the subscription was lost.
    pub(crate) fn lost(&mut self) {
        self.state = State::Unread { heard: Vec::new(), overflowed: false };
        self.readings += 1;
    }

    /// A message has come.
    pub(crate) fn heard(&mut self, message: Message) -> Heard {
        match &mut self.state {
            State::Unread { heard, overflowed } => {
                if heard.len() < MOST_HEARD {
                    heard.push(message);
                } else {
                    *overflowed = true;
                }
                Heard::Nothing
            }
            State::At { version, .. } if message.next <= *version => Heard::Nothing,
            State::At { version, doubted, .. } if message.last == *version => {
                *version = message.next;
                *doubted = false;
                Heard::Apply(message)
            }
            State::At { .. } => {
                self.state = State::Unread { heard: vec![message], overflowed: false };
                Heard::Read
            }
        }
    }

    /// The reading of that number has found the service at this version. `None`: it is outdated, and must not be used.
    /// Else the changes to apply to what was read, and whether to read once more.
    pub(crate) fn read(&mut self, reading: u64, version: u64, epoch: &[u8]) -> Option<(Vec<Message>, bool)> {
        if reading != self.readings {
            return None;
        }
        let (heard, overflowed) = match &mut self.state {
            State::Unread { heard, overflowed } => (std::mem::take(heard), *overflowed),
            // A resync of what was known.
            State::At { version: known, .. } if *known > version => return None,
            State::At { .. } => (Vec::new(), false),
        };
        let mut at = version;
        let mut apply = Vec::new();
        let mut later = heard.into_iter().filter(|message| message.next > version);
        for message in later.by_ref() {
            if message.last != at {
                self.state =
                    State::Unread { heard: std::iter::once(message).chain(later).collect(), overflowed };
                return Some((apply, true));
            }
            at = message.next;
            apply.push(message);
        }
        self.state = if overflowed {
            State::Unread { heard: Vec::new(), overflowed: false }
        } else {
            State::At { version: at, epoch: epoch.into(), doubted: false }
        };
        Some((apply, overflowed))
    }

    /// The server says that it is at this version.
    pub(crate) fn polled(&mut self, now_at: u64, its_epoch: &[u8]) -> Polled {
        match &mut self.state {
            State::Unread { .. } => Polled::Same,
            State::At { version, epoch, doubted } => {
                if *version == now_at && epoch == its_epoch {
                    *doubted = false;
                    Polled::Same
                } else if *doubted || epoch != its_epoch {
                    self.state = State::Unread { heard: Vec::new(), overflowed: false };
                    Polled::Read
                } else {
                    *doubted = true;
                    Polled::Doubt
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::message::Change;
    use proptest::prelude::*;

    fn message(last: u64, next: u64) -> Message {
        Message { last, next, change: Change::Unconfig }
    }

    fn at(version: u64) -> Sync {
        let mut sync = Sync::default();
        let reading = sync.reading();
        assert_eq!(sync.read(reading, version, b"e"), Some((vec![], false)));
        sync
    }

    #[test]
    fn changes_are_applied_in_a_chain() {
        let mut sync = at(5);
        assert_eq!(sync.heard(message(3, 5)), Heard::Nothing, "old");
        assert_eq!(sync.heard(message(5, 8)), Heard::Apply(message(5, 8)));
        assert_eq!(sync.heard(message(9, 12)), Heard::Read, "something between 8 and 9 was lost");
        assert_eq!(sync.heard(message(12, 13)), Heard::Nothing, "kept");
        let reading = sync.reading();
        assert_eq!(sync.read(reading, 12, b"e"), Some((vec![message(12, 13)], false)));
        assert_eq!(sync.version(), Some(13));
    }

    #[test]
    fn what_was_heard_while_reading_is_applied_or_read_again() {
        let mut sync = Sync::default();
        let reading = sync.reading();
        for (last, next) in [(1, 2), (2, 3), (4, 5)] {
            sync.heard(message(last, next));
        }
        assert_eq!(sync.read(reading, 2, b"e"), Some((vec![message(2, 3)], true)), "3 to 4 is missing");
        let reading = sync.reading();
        assert_eq!(sync.read(reading, 4, b"e"), Some((vec![message(4, 5)], false)));
    }

    #[test]
    fn an_outdated_reading_is_not_used() {
        let mut sync = Sync::default();
        let first = sync.reading();
        sync.lost();
        assert_eq!(sync.read(first, 7, b"e"), None);
        let second = sync.reading();
        assert_eq!(sync.read(second, 8, b"e"), Some((vec![], false)));
    }

    #[test]
    fn a_resync_never_goes_back() {
        let mut sync = at(5);
        let reading = sync.reading();
        sync.heard(message(5, 9));
        assert_eq!(sync.read(reading, 5, b"e"), None);
        assert_eq!(sync.version(), Some(9));
    }

    #[test]
    fn a_lost_message_is_found_by_comparing_twice() {
        let mut sync = at(5);
        assert_eq!(sync.polled(5, b"e"), Polled::Same);
        assert_eq!(sync.polled(9, b"e"), Polled::Doubt);
        assert_eq!(sync.polled(9, b"e"), Polled::Read);
        let mut late = at(5);
        assert_eq!(late.polled(9, b"e"), Polled::Doubt);
        assert_eq!(late.heard(message(5, 9)), Heard::Apply(message(5, 9)));
        assert_eq!(late.polled(9, b"e"), Polled::Same, "it was on its way");
    }

    #[test]
    fn another_epoch_is_read_at_once_even_behind_what_was_known() {
        let mut sync = at(50);
        assert_eq!(sync.polled(7, b"f"), Polled::Read);
        let reading = sync.reading();
        assert_eq!(sync.read(reading, 7, b"f"), Some((vec![], false)));
        let mut behind = at(50);
        assert_eq!(behind.polled(40, b"e"), Polled::Doubt);
        assert_eq!(behind.polled(40, b"e"), Polled::Read, "a replica that lagged was promoted");
    }

    proptest! {
        /// A server that bumps versions, a channel that loses messages and readings that come at any time: once nothing
        /// is lost any more, two comparisons and a reading bring the follower to the server's version.
        #[test]
        fn always_gets_there(script in proptest::collection::vec((0_u8..6, any::<bool>()), 0..80)) {
            let mut sync = Sync::default();
            let (mut version, mut pending, mut known) = (1_u64, None, 0_u64);
            let start = |sync: &mut Sync, version| Some((sync.reading(), version));
            for (what, kept) in script {
                match what {
                    0..=2 => {
                        let m = message(version, version + 3);
                        version += 3;
                        if kept && sync.heard(m) == Heard::Read { pending = start(&mut sync, version); }
                    }
                    3 => { if sync.polled(version, b"e") == Polled::Read { pending = start(&mut sync, version); } }
                    4 => if let Some((reading, at)) = pending.take()
                        && let Some((_, true)) = sync.read(reading, at, b"e") { pending = start(&mut sync, version); },
                    _ => { sync.lost(); pending = start(&mut sync, version); }
                }
                if let Some(at) = sync.version() {
                    prop_assert!(at <= version);
                    prop_assert!(at >= known, "went back from {} to {}", known, at);
                    known = at;
                }
            }
            for _ in 0..4 {
                if sync.version().is_none() || sync.polled(version, b"e") == Polled::Read {
                    let reading = sync.reading();
                    sync.read(reading, version, b"e");
                }
            }
            prop_assert_eq!(sync.version(), Some(version));
        }
    }
}
