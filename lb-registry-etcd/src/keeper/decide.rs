//! What to do about the key of an announced instance, given what is there. Pure.

use crate::store::{Decision, Op};
use crate::watch::Kv;

/// What this process has written under a key, and wants to be there.
pub(super) struct Mine<'a> {
    pub(super) key: &'a str,
    /// The key at which others say that they took the instance out.
    pub(super) mark: &'a str,
    pub(super) value: &'a [u8],
    pub(super) lease: i64,
}

/// What has become of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is as it should be.
    There,
    /// It was not, and is written again.
    Restored,
    /// Somebody has taken the instance out on purpose.
    TakenOut,
    /// Somebody else has registered the id.
    TakenOver,
    /// It is not there.
    Gone,
}

impl Mine<'_> {
    fn is_mine(&self, kv: &Kv) -> bool {
        kv.value == self.value && kv.lease != 0
    }

    fn put(&self, value: &[u8]) -> Op {
        Op::Put { key: self.key.into(), value: value.into(), lease: self.lease }
    }

    /// Announces: whatever is there is replaced.
    pub(super) fn announce(&self, found: &[Option<Kv>], again: bool) -> Decision<()> {
        if again && found[0].as_ref().is_some_and(|kv| self.is_mine(kv) && kv.lease == self.lease) {
            return Decision::Leave(());
        }
        let mut ops = vec![self.put(self.value)];
        if found[1].is_some() {
            ops.push(Op::Delete { key: self.mark.into() });
        }
        Decision::Write(ops, ())
    }

    /// Sees to it that the key is there, unless somebody wants it otherwise.
    pub(super) fn restore(&self, found: &[Option<Kv>]) -> Decision<Fate> {
        match (&found[0], &found[1]) {
            (Some(kv), _) if self.is_mine(kv) && kv.lease == self.lease => Decision::Leave(Fate::There),
            // On a lease that is lost: the key would go with it.
            (Some(kv), _) if self.is_mine(kv) => Decision::Write(vec![self.put(self.value)], Fate::There),
            (Some(_), _) => Decision::Leave(Fate::TakenOver),
            (None, Some(_)) => Decision::Leave(Fate::TakenOut),
            (None, None) => Decision::Write(vec![self.put(self.value)], Fate::Restored),
        }
    }

    /// Replaces what this process has written by `new`.
    pub(super) fn update(&self, new: &[u8], found: &[Option<Kv>], again: bool) -> Decision<Fate> {
        match (&found[0], &found[1]) {
            (Some(kv), _) if again && kv.value == new && kv.lease == self.lease => {
                Decision::Leave(Fate::There)
            }
            (Some(kv), _) if self.is_mine(kv) => Decision::Write(vec![self.put(new)], Fate::There),
            (Some(_), _) => Decision::Leave(Fate::TakenOver),
            (None, Some(_)) => Decision::Leave(Fate::TakenOut),
            (None, None) => Decision::Write(vec![self.put(new)], Fate::Restored),
        }
    }

    /// Replaces it to say that it drains; what is not there needs no draining.
    pub(super) fn drain(&self, new: &[u8], found: &[Option<Kv>]) -> Decision<Fate> {
        match &found[0] {
            Some(kv) if self.is_mine(kv) && kv.value != new => {
                Decision::Write(vec![self.put(new)], Fate::There)
            }
            Some(kv) if kv.value == new => Decision::Leave(Fate::There),
            Some(_) => Decision::Leave(Fate::TakenOver),
            None => Decision::Leave(Fate::Gone),
        }
    }

    /// Takes it out. Unless its last word was that it drains, a mark says that it went on purpose.
    pub(super) fn remove(&self, drained: bool, found: &[Option<Kv>]) -> Decision<Fate> {
        match &found[0] {
            Some(kv) if self.is_mine(kv) => {
                let mut ops = vec![Op::Delete { key: self.key.into() }];
                if !drained {
                    ops.push(Op::Put { key: self.mark.into(), value: Vec::new(), lease: kv.lease });
                }
                Decision::Write(ops, Fate::Gone)
            }
            Some(_) => Decision::Leave(Fate::TakenOver),
            None => Decision::Leave(Fate::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINE: Mine<'_> = Mine { key: "k", mark: "m", value: b"mine.1", lease: 7 };

    #[allow(clippy::unnecessary_wraps, reason = "what is found at a key may be nothing")]
    fn kv(value: &[u8], lease: i64) -> Option<Kv> {
        Some(Kv { key: b"k".to_vec(), value: value.to_vec(), revision: 9, lease })
    }

    fn fate<T: Copy>(decision: &Decision<T>) -> (usize, T) {
        match decision {
            Decision::Write(ops, fate) => (ops.len(), *fate),
            Decision::Leave(fate) => (0, *fate),
        }
    }

    #[test]
    fn what_is_lost_is_written_again_and_what_others_want_is_respected() {
        let mark = kv(b"", 7);
        for (found, expected) in [
            ([kv(b"mine.1", 7), None], (0, Fate::There)),
            ([kv(b"mine.1", 6), None], (1, Fate::There)),
            ([None, None], (1, Fate::Restored)),
            ([None, mark.clone()], (0, Fate::TakenOut)),
            ([kv(b"other", 8), None], (0, Fate::TakenOver)),
            ([kv(b"mine.1", 0), None], (0, Fate::TakenOver)),
        ] {
            assert_eq!(fate(&MINE.restore(&found)), expected, "{found:?}");
        }
    }

    #[test]
    fn an_update_replaces_only_ones_own() {
        for (found, expected) in [
            ([kv(b"mine.1", 7), None], (1, Fate::There)),
            ([None, None], (1, Fate::Restored)),
            ([None, kv(b"", 7)], (0, Fate::TakenOut)),
            ([kv(b"other", 8), None], (0, Fate::TakenOver)),
        ] {
            assert_eq!(fate(&MINE.update(b"mine.2", &found, false)), expected, "{found:?}");
        }
        assert_eq!(fate(&MINE.update(b"mine.2", &[kv(b"mine.2", 7), None], true)), (0, Fate::There));
    }

    #[test]
    fn leaving_touches_only_ones_own() {
        assert_eq!(fate(&MINE.drain(b"draining", &[kv(b"mine.1", 7)])), (1, Fate::There));
        assert_eq!(fate(&MINE.drain(b"draining", &[kv(b"other", 7)])), (0, Fate::TakenOver));
        assert_eq!(fate(&MINE.drain(b"draining", &[None])), (0, Fate::Gone));
        assert_eq!(fate(&MINE.remove(true, &[kv(b"mine.1", 7)])), (1, Fate::Gone));
        assert_eq!(fate(&MINE.remove(false, &[kv(b"mine.1", 7)])), (2, Fate::Gone));
        assert_eq!(fate(&MINE.remove(false, &[kv(b"other", 7)])), (0, Fate::TakenOver));
        assert_eq!(fate(&MINE.remove(false, &[None])), (0, Fate::Gone));
    }

    #[test]
    fn announcing_replaces_whatever_is_there() {
        assert_eq!(fate(&MINE.announce(&[kv(b"other", 0), kv(b"", 3)], false)).0, 2);
        assert_eq!(
            fate(&MINE.announce(&[kv(b"mine.1", 7), None], true)).0,
            0,
            "an earlier try was carried out"
        );
        assert_eq!(fate(&MINE.announce(&[kv(b"mine.1", 7), None], false)).0, 1);
    }
}
