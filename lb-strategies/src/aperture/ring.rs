//! Which part of which member is in an aperture: [`aperture`].

use crate::client::ClientIndex;

/// What a client sees.
#[derive(Debug, PartialEq)]
pub(super) struct Aperture {
    /// Places of members that it sees whole, in order.
    pub(super) whole: Vec<usize>,
    /// Of up to two members at its ends it sees a part, between 0 and 1.
    pub(super) partly: Vec<(usize, f64)>,
}

/// The members lie side by side on a ring, each as wide as its weight. With C clients, client c begins at c/C of the way
/// around, and its aperture is k/C wide, where k is the least whole number with which it is wide enough for `min` of N
/// members: k = min(C, ⌈min · C / N⌉). So every point of the ring is in exactly k apertures (Finagle's
/// `DeterministicAperture`).
///
/// The arithmetic is in whole numbers: widths are multiplied by C, so that the ring is C · W around.
pub(super) fn aperture(weights: &[u32], client: ClientIndex, min: usize) -> Aperture {
    let total: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    let clients = u128::from(client.count());
    let units = clients.min((min as u128 * clients).div_ceil((weights.len() as u128).max(1)));
    let (around, from) = (total * clients, u128::from(client.index()) * total);
    let to = from + units * total;
    let mut aperture = Aperture { whole: Vec::new(), partly: Vec::new() };
    let mut begin = 0;
    for (place, weight) in weights.iter().enumerate() {
        let width = u128::from(*weight) * clients;
        // The aperture may go on at the beginning of the ring.
        let seen = overlap(begin, begin + width, from, to)
            + overlap(begin + around, begin + around + width, from, to);
        if seen >= width {
            aperture.whole.push(place);
        } else if seen > 0 {
            aperture.partly.push((place, seen as f64 / width as f64));
        }
        begin += width;
    }
    aperture
}

/// How much of one stretch lies in another.
fn overlap(begin: u128, end: u128, from: u128, to: u128) -> u128 {
    end.min(to).saturating_sub(begin.max(from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(weights: &[u32], clients: u32, min: usize) -> impl Iterator<Item = Aperture> {
        (0..clients).map(move |index| aperture(weights, ClientIndex::new(index, clients).unwrap(), min))
    }

    fn seen(aperture: &Aperture) -> impl Iterator<Item = (usize, f64)> {
        aperture.whole.iter().map(|place| (*place, 1.0)).chain(aperture.partly.iter().copied())
    }

    #[test]
    fn three_clients_of_four_members() {
        let apertures: Vec<_> = all(&[1; 4], 3, 2).collect();
        // ⌈2 · 3 / 4⌉ = 2 thirds of the ring: two members and two thirds of a third one.
        assert_eq!((&apertures[0].whole, apertures[0].partly.len()), (&vec![0, 1], 1));
        assert_eq!((apertures[0].partly[0].0, apertures[1].partly[0].0), (2, 1));
        assert!((apertures[0].partly[0].1 - 2.0 / 3.0).abs() < 1e-9);
        // The last one goes on at the beginning.
        assert_eq!(apertures[2].whole, [0, 3]);
    }

    #[test]
    fn an_aperture_can_be_a_part_of_one_member_or_all_but_that() {
        let alone: Vec<_> = all(&[1, 1], 8, 1).collect();
        assert!(alone.iter().all(|aperture| (aperture.whole.len() + aperture.partly.len()) <= 2));
        let narrow = aperture(&[1000, 1, 1, 1], ClientIndex::new(1, 100).unwrap(), 1);
        assert_eq!((narrow.whole.len(), narrow.partly.len()), (0, 1));
        let wide = aperture(&[100, 1], ClientIndex::new(1, 10).unwrap(), 2);
        assert_eq!((wide.whole, wide.partly), (vec![0, 1], vec![]));
        let both_ends = aperture(&[9, 1, 1, 1], ClientIndex::new(2, 7).unwrap(), 3);
        assert_eq!((both_ends.whole.len(), both_ends.partly.len()), (3, 1), "{both_ends:?}");
    }

    proptest! {
        #[test]
        fn every_member_is_seen_as_much_as_any_other(
            weights in proptest::collection::vec(1..9_u32, 1..60), clients in 1..60_u32, min in 1..30_usize,
        ) {
            let mut sums = vec![0.0; weights.len()];
            all(&weights, clients, min).for_each(|aperture| seen(&aperture).for_each(|(place, part)| sums[place] += part));
            let units = f64::from(clients).min((min as f64 * f64::from(clients) / weights.len() as f64).ceil());
            prop_assert!(sums.iter().all(|sum| (sum - units).abs() < 1e-9), "{sums:?}, not {units}");
        }

        #[test]
        fn an_aperture_is_as_wide_as_it_shall_be(
            weights in proptest::collection::vec(1..9_u32, 1..60), clients in 1..60_u32, min in 1..30_usize,
        ) {
            let total: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            for aperture in all(&weights, clients, min) {
                prop_assert!(aperture.partly.len() <= 2, "{aperture:?}");
                let width: f64 = seen(&aperture).map(|(place, part)| part * f64::from(weights[place])).sum();
                let least = (min as f64 / weights.len() as f64).min(1.0) * total;
                prop_assert!(width >= least - 1e-9 && width <= least + total / f64::from(clients) + 1e-9);
            }
        }
    }
}
