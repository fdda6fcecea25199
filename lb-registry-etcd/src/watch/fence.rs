//! Whether a history is the one that was followed so far: [`Fences`].

use super::wire::{Change, Kv};

/// The writes that were seen last. In the same history they stand where they stood, whatever has been written since;
/// where they do not this is another one. It may be longer: so it is where a backup was restored and written to, or an
/// older backup was restored and then a younger one. Pure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fences {
    put: Option<Fence>,
    deleted: Option<Fence>,
    /// The last revision of which anything was seen.
    last: i64,
}

/// What a key was at a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fence {
    pub(super) key: Vec<u8>,
    pub(super) revision: i64,
    /// The lease that it was written with (0: none), which is random: so the same key, written at the same revision of
    /// another history, is told apart. `None`: it was deleted.
    lease: Option<i64>,
}

impl Fences {
    /// After a list as of `revision`, of which `latest` was written last.
    pub(super) fn of_list(latest: Option<&Kv>, revision: i64) -> Self {
        let mut fences = Self { last: revision, ..Self::default() };
        if let Some(latest) = latest {
            fences.written(latest);
        }
        fences
    }

    pub(super) fn see(&mut self, change: &Change) {
        self.last = self.last.max(change.revision());
        match change {
            Change::Put(kv) => self.written(kv),
            Change::Delete { key, revision } => {
                self.deleted = Some(Fence { key: key.clone(), revision: *revision, lease: None });
            }
        }
    }

    fn written(&mut self, kv: &Kv) {
        self.put = Some(Fence { key: kv.key.clone(), revision: kv.revision, lease: Some(kv.lease) });
    }

    /// A key that may be read.
    pub(super) fn key(&self) -> Option<&[u8]> {
        self.put.as_ref().map(|fence| &*fence.key)
    }

    /// What must hold in a history that stands at `revision`; `None`: it ends before what was seen.
    pub(super) fn in_history_at(&self, revision: i64) -> Option<Vec<Fence>> {
        let after_put =
            |deleted: &&Fence| self.put.as_ref().is_none_or(|put| put.revision < deleted.revision);
        let both = self.put.iter().chain(self.deleted.iter().filter(after_put));
        (self.last <= revision).then(|| both.cloned().collect())
    }
}

impl Fence {
    /// Whether it stands where the key was found like this (when it was written last, and its lease) as of
    /// [`revision`](Self::revision).
    pub(super) fn stands(&self, found: Option<(i64, i64)>) -> bool {
        found == self.lease.map(|lease| (self.revision, lease))
    }

    /// The same where nobody knows any more what was at that revision, by what is there now.
    pub(super) fn may_stand(&self, found_now: Option<(i64, i64)>) -> bool {
        found_now.is_none_or(|(written, _)| written >= self.revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kv(key: &str, revision: i64, lease: i64) -> Kv {
        Kv { key: key.into(), value: Vec::new(), revision, lease }
    }

    fn put(key: &str, revision: i64, lease: i64) -> Change {
        Change::Put(kv(key, revision, lease))
    }

    fn deleted(key: &str, revision: i64) -> Change {
        Change::Delete { key: key.into(), revision }
    }

    #[test]
    fn a_history_that_ends_before_what_was_seen_is_another_one() {
        let mut fences = Fences::of_list(Some(&kv("a", 4, 0)), 9);
        assert_eq!(fences.in_history_at(8), None, "it was listed at 9");
        assert_eq!(fences.in_history_at(9).unwrap().len(), 1);
        fences.see(&put("b", 12, 7));
        assert_eq!(fences.in_history_at(11), None, "one less is another one, too");
        fences.see(&deleted("b", 13));
        assert_eq!(fences.in_history_at(12), None);
    }

    #[test]
    fn the_last_write_must_stand_where_it_stood() {
        let mut fences = Fences::of_list(None, 1);
        fences.see(&put("b", 12, 7));
        let asked = fences.in_history_at(40).unwrap();
        let [fence] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((&*fence.key, fence.revision), (&b"b"[..], 12));
        assert!(fence.stands(Some((12, 7))));
        assert!(!fence.stands(None), "it was not written");
        assert!(!fence.stands(Some((11, 7))), "it was written before");
        assert!(!fence.stands(Some((12, 8))), "by somebody else");
        assert!(fence.may_stand(Some((30, 8))) && fence.may_stand(None) && !fence.may_stand(Some((11, 7))));
    }

    #[test]
    fn and_so_must_the_last_deletion() {
        let mut fences = Fences::of_list(Some(&kv("a", 4, 0)), 9);
        fences.see(&deleted("a", 10));
        let asked = fences.in_history_at(40).unwrap();
        let [written, deleted] = &asked[..] else { panic!("{asked:?}") };
        assert!(written.stands(Some((4, 0))));
        assert_eq!((&*deleted.key, deleted.revision), (&b"a"[..], 10));
        assert!(deleted.stands(None) && !deleted.stands(Some((4, 0))), "it was not undone");
        // What was written after it tells more.
        fences.see(&put("c", 11, 0));
        assert_eq!(fences.in_history_at(40).unwrap().len(), 1);
    }
}
