//! All eligible members of a small set, side by side: [`Scan`].

use lb_core::strategy::{Candidates, Member, MemberSet, Slot};

use super::reach::MOST_SCANNED;

/// The eligible members of a small set with what a strategy made of each. On the stack.
pub(crate) struct Scan<T> {
    slots: [Slot; MOST_SCANNED],
    found: [T; MOST_SCANNED],
    len: usize,
}

impl<T: Copy + Default> Scan<T> {
    /// Looks at every eligible member; `None` if there is none. Members after the 64th are not looked at.
    ///
    /// A member that is eased in by a slow start is looked at as often as its weight says so far, unless there is nobody
    /// else: it is idle more often than the others, and by its load alone it would be preferred to them.
    #[inline]
    pub(crate) fn new<I>(
        candidates: &Candidates<'_, I>,
        set: &MemberSet<I>,
        mut look: impl FnMut(&Member<I>) -> T,
    ) -> Option<Self> {
        let mut scan =
            Self { slots: [set.slot(0)?; MOST_SCANNED], found: [T::default(); MOST_SCANNED], len: 0 };
        for (slot, member) in candidates.eligible(set).take(MOST_SCANNED) {
            if candidates.is_warm(member) {
                scan.add(slot, look(member));
            }
        }
        if scan.len == 0 {
            candidates
                .eligible(set)
                .take(MOST_SCANNED)
                .for_each(|(slot, member)| scan.add(slot, look(member)));
        }
        (scan.len > 0).then_some(scan)
    }

    #[inline]
    fn add(&mut self, slot: Slot, found: T) {
        (self.slots[self.len], self.found[self.len]) = (slot, found);
        self.len += 1;
    }

    #[inline]
    pub(crate) fn found(&self) -> &[T] {
        &self.found[..self.len]
    }

    /// One of them at random, each with a chance in proportion to its share; whose share is 0 is not chosen.
    #[inline]
    pub(crate) fn choose<I>(
        &self,
        candidates: &Candidates<'_, I>,
        share: impl Fn(&T) -> f64,
    ) -> Option<Slot> {
        let total: f64 = self.found().iter().map(&share).sum();
        let mut point = candidates.random_unit() * total;
        let mut chosen = None;
        for (slot, found) in self.slots.iter().zip(self.found()) {
            let share = share(found);
            if share > 0.0 {
                chosen = Some(*slot);
                if point < share {
                    break;
                }
                point -= share;
            }
        }
        chosen
    }
}
