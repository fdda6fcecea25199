//! What to do about the key of an announced instance, given what is there. Pure.

use crate::store::{Decision, Op};
use crate::watch::Kv;

/// The key of an announced instance, and whether what is there is its owner's.
pub(super) struct Place<'a> {
    pub(super) key: &'a str,
    /// The key at which others say that they took the instance out.
    pub(super) mark: &'a str,
    pub(super) is_mine: &'a (dyn Fn(&Kv) -> bool + Sync),
}

/// What has become of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Done,
    /// Somebody has taken the instance out on purpose.
    TakenOut,
    /// Somebody else has registered the id.
    TakenOver,
    /// It is not there.
    Gone,
}

impl Place<'_> {
    /// Writes it on a lease. `takes_over`: whoever has it. `again`: an earlier try may have been carried out.
    pub(super) fn put(
        &self,
        value: &[u8],
        lease: i64,
        takes_over: bool,
        found: &[Option<Kv>],
        again: bool,
    ) -> Decision<Fate> {
        match (&found[0], &found[1]) {
            (Some(kv), _) if (again || !takes_over) && kv.value == value && kv.lease == lease => {
                return Decision::Leave(Fate::Done);
            }
            (Some(kv), _) if !takes_over && !(self.is_mine)(kv) => return Decision::Leave(Fate::TakenOver),
            (None, Some(_)) if !takes_over => return Decision::Leave(Fate::TakenOut),
            _ => {}
        }
        let mut ops = vec![Op::Put { key: self.key.into(), value: value.into(), lease }];
        if found[1].is_some() {
            ops.push(Op::Delete { key: self.mark.into() });
        }
        Decision::Write(ops, Fate::Done)
    }

    /// Takes it out. Unless its last word was that it drains, a mark says that it went on purpose.
    pub(super) fn delete(&self, drained: impl Fn(&Kv) -> bool, found: &[Option<Kv>]) -> Decision<Fate> {
        match &found[0] {
            Some(kv) if (self.is_mine)(kv) => {
                let mut ops = vec![Op::Delete { key: self.key.into() }];
                if !drained(kv) && kv.lease != 0 {
                    ops.push(Op::Put { key: self.mark.into(), value: Vec::new(), lease: kv.lease });
                }
                Decision::Write(ops, Fate::Done)
            }
            Some(_) => Decision::Leave(Fate::TakenOver),
            None => Decision::Leave(Fate::Gone),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { key: "k", mark: "m", is_mine: &|kv| kv.value.starts_with(b"mine") };

    #[allow(clippy::unnecessary_wraps, reason = "what is found at a key may be nothing")]
    fn kv(value: &[u8], lease: i64) -> Option<Kv> {
        Some(Kv { key: b"k".to_vec(), value: value.to_vec(), revision: 9, lease })
    }

    /// How many writes, and what comes of it.
    fn fate(decision: &Decision<Fate>) -> (usize, Fate) {
        match decision {
            Decision::Write(ops, fate) => (ops.len(), *fate),
            Decision::Leave(fate) => (0, *fate),
        }
    }

    #[test]
    fn what_is_lost_is_written_again_and_what_others_want_is_respected() {
        for (found, expected) in [
            ([kv(b"mine.2", 7), None], (0, Fate::Done)),
            ([kv(b"mine.2", 6), None], (1, Fate::Done)),
            ([kv(b"mine.1", 7), None], (1, Fate::Done)),
            ([None, None], (1, Fate::Done)),
            ([None, kv(b"", 7)], (0, Fate::TakenOut)),
            ([kv(b"other", 8), None], (0, Fate::TakenOver)),
        ] {
            assert_eq!(fate(&PLACE.put(b"mine.2", 7, false, &found, false)), expected, "{found:?}");
        }
    }

    #[test]
    fn who_announces_takes_over_whatever_is_there() {
        assert_eq!(
            fate(&PLACE.put(b"mine.1", 7, true, &[kv(b"other", 0), kv(b"", 3)], false)),
            (2, Fate::Done)
        );
        assert_eq!(fate(&PLACE.put(b"mine.1", 7, true, &[None, None], false)), (1, Fate::Done));
        assert_eq!(fate(&PLACE.put(b"mine.1", 7, true, &[kv(b"mine.1", 7), None], true)), (0, Fate::Done));
        assert_eq!(fate(&PLACE.put(b"mine.1", 7, true, &[kv(b"mine.1", 7), None], false)), (1, Fate::Done));
    }

    #[test]
    fn only_ones_own_is_taken_out() {
        let drained = |kv: &Kv| kv.value.ends_with(b"draining");
        assert_eq!(fate(&PLACE.delete(drained, &[kv(b"mine.1", 7)])), (2, Fate::Done));
        assert_eq!(fate(&PLACE.delete(drained, &[kv(b"mine.draining", 7)])), (1, Fate::Done));
        assert_eq!(fate(&PLACE.delete(drained, &[kv(b"other", 7)])), (0, Fate::TakenOver));
        assert_eq!(fate(&PLACE.delete(drained, &[None])), (0, Fate::Gone));
    }
}
