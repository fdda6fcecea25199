//! All eligible members of a small set, side by side: [`scan`].

use lb_core::strategy::{Candidates, MemberSet, Seat, Slot};

use super::reach::MOST_SCANNED;

/// The eligible members of a small set with what a strategy made of each.
#[derive(Clone, Copy)]
pub(crate) struct Scan<'a, T> {
    slots: &'a [Slot],
    found: &'a [T],
}

/// Looks at every eligible member, and lets `decide` choose between them; `None` if there is none. Members after the 64th
/// are not looked at. On the stack, on no more of it than a set of that size needs.
///
/// A member that is eased in by a slow start is looked at as often as its weight says so far, unless there is nobody
/// else: it is idle more often than the others, and by its load alone it would be preferred to them.
#[inline]
pub(crate) fn scan<I, T: Copy + Default>(
    candidates: &Candidates<'_, I>,
    set: &MemberSet<I>,
    look: impl FnMut(&Seat<I>) -> T,
    decide: impl FnOnce(Scan<'_, T>) -> Option<Slot>,
) -> Option<Slot> {
    match set.len() {
        0..=4 => scan_up_to::<I, T, 4>(candidates, set, look, decide),
        5..=16 => scan_up_to::<I, T, 16>(candidates, set, look, decide),
        _ => scan_up_to::<I, T, MOST_SCANNED>(candidates, set, look, decide),
    }
}

#[inline]
fn scan_up_to<I, T: Copy + Default, const N: usize>(
    candidates: &Candidates<'_, I>,
    set: &MemberSet<I>,
    mut look: impl FnMut(&Seat<I>) -> T,
    decide: impl FnOnce(Scan<'_, T>) -> Option<Slot>,
) -> Option<Slot> {
    let (mut slots, mut found, mut len) = ([set.slot(0)?; N], [T::default(); N], 0);
    for is_patient in [true, false] {
        for (slot, seat) in candidates.eligible(set) {
            if len < N && (!is_patient || candidates.is_warm(seat)) {
                (slots[len], found[len]) = (slot, look(seat));
                len += 1;
            }
        }
        if len > 0 {
            return decide(Scan { slots: &slots[..len], found: &found[..len] });
        }
    }
    None
}

impl<T> Scan<'_, T> {
    #[inline]
    pub(crate) fn found(&self) -> &[T] {
        self.found
    }

    /// One of them at random, each with a chance in proportion to its share; whose share is 0 is not chosen.
    #[inline]
    pub(crate) fn choose<I>(
        &self,
        candidates: &Candidates<'_, I>,
        share: impl Fn(&T) -> f64,
    ) -> Option<Slot> {
        let total: f64 = self.found.iter().map(&share).sum();
        let mut point = candidates.random_unit() * total;
        let mut chosen = None;
        for (slot, found) in self.slots.iter().zip(self.found) {
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
