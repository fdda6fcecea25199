//! How much of a caller's load goes to which zone: [`zone_shares`].

/// A zone, as a caller in one of them sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ZoneState {
    /// What the members there that can take requests weigh together.
    pub capacity: u64,
    /// The part of all requests to the service that comes from callers there, relative to that of the other zones.
    pub traffic: f64,
}

/// What part of its requests a caller in the first zone sends to which zone, such that as much as possible stays and
/// every member, wherever it is, gets what is due to its weight.
///
/// That is the case if all callers share out theirs in this way: a zone that has at least as large a part of the
/// capacity as of the traffic serves all of its own; any other keeps as much as it has room for, and sends the rest
/// where there is room left, in proportion to it.
///
/// ```
/// use lb_strategies::{ZoneState, zone_shares};
///
/// // A tenth of the capacity for a fifth of the traffic: half of it can stay.
/// let zones = [(10, 0.2), (50, 0.4), (40, 0.4)].map(|(capacity, traffic)| ZoneState { capacity, traffic });
/// assert_eq!(zone_shares(&zones), [0.5, 0.5, 0.0]);
/// ```
///
/// If nobody has capacity, everything stays.
pub fn zone_shares(zones: &[ZoneState]) -> Vec<f64> {
    let mut shares = vec![0.0; zones.len()];
    share(zones.len(), |i| zones[i], |i, part| shares[i] = part);
    shares
}

/// [`zone_shares`] without a list: asks for zones by their number, and reports their shares in order.
pub(crate) fn share(zones: usize, zone: impl Fn(usize) -> ZoneState, mut give: impl FnMut(usize, f64)) {
    let capacity: f64 = (0..zones).map(|i| zone(i).capacity as f64).sum();
    let traffic: f64 = (0..zones).map(|i| zone(i).traffic).sum();
    let part = |x: f64, whole: f64| if whole > 0.0 { x / whole } else { 0.0 };
    let capacity_of = |i: usize| part(zone(i).capacity as f64, capacity);
    let traffic_of = |i: usize| part(zone(i).traffic, traffic);
    let stays = if zones < 2 || capacity == 0.0 || (capacity_of(0) > 0.0 && capacity_of(0) >= traffic_of(0)) {
        1.0
    } else {
        part(capacity_of(0), traffic_of(0))
    };
    let room = |i: usize| (capacity_of(i) - traffic_of(i)).max(0.0);
    let rooms: f64 = (1..zones).map(room).sum();
    let elsewhere = (1.0 - capacity_of(0)).max(0.0);
    for i in 0..zones {
        let part = match i {
            0 => stays,
            _ if rooms > 0.0 => (1.0 - stays) * room(i) / rooms,
            // Rounding has left no room, although it is short here.
            _ => (1.0 - stays) * part(capacity_of(i), elsewhere),
        };
        give(i, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones(zones: &[(u64, f64)]) -> Vec<ZoneState> {
        zones.iter().map(|&(capacity, traffic)| ZoneState { capacity, traffic }).collect()
    }

    #[track_caller]
    fn assert_shares(given: &[(u64, f64)], expected: &[f64]) {
        let shares = zone_shares(&zones(given));
        assert!(shares.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{shares:?} for {given:?}");
    }

    #[test]
    fn a_zone_with_enough_room_serves_its_own() {
        assert_shares(&[(10, 1.0), (10, 1.0)], &[1.0, 0.0]);
        assert_shares(&[(30, 1.0), (10, 1.0), (10, 1.0)], &[1.0, 0.0, 0.0]);
        assert_shares(&[(1, 0.0), (100, 1.0)], &[1.0, 0.0]);
        assert_shares(&[(1, 1.0)], &[1.0]);
    }

    #[test]
    fn the_rest_goes_where_there_is_room() {
        // 40 % of the traffic for 25 % of the capacity; room for 10 and 5 % elsewhere.
        assert_shares(&[(25, 40.0), (50, 40.0), (25, 20.0)], &[0.625, 0.25, 0.125]);
        // Half of the own members are away.
        assert_shares(&[(5, 1.0), (10, 1.0), (10, 1.0)], &[0.6, 0.2, 0.2]);
        // Only one of the others has room.
        assert_shares(&[(1, 1.0), (2, 1.0), (7, 1.0)], &[0.3, 0.0, 0.7]);
    }

    #[test]
    fn a_zone_without_anybody_sends_everything_away() {
        assert_shares(&[(0, 1.0), (10, 1.0), (10, 1.0)], &[0.0, 0.5, 0.5]);
        assert_shares(&[(0, 0.0), (10, 1.0), (30, 3.0)], &[0.0, 0.25, 0.75]);
        assert_shares(&[(0, 1.0), (0, 1.0)], &[1.0, 0.0]);
    }

    /// What all zones send adds up to what is due to the members, whatever the traffic and the capacity.
    #[test]
    fn every_member_gets_what_is_due_to_it() {
        let sizes = [0_u64, 1, 3, 10, 50];
        for traffic in [[1.0, 1.0, 1.0], [0.2, 0.4, 0.4], [0.7, 0.1, 0.2], [1.0, 0.0, 1.0]] {
            for capacity in sizes.iter().flat_map(|a| sizes.iter().map(move |b| [*a, *b, 7])) {
                let total: u64 = capacity.iter().sum();
                let mut load = [0.0; 3];
                for caller in 0..3 {
                    let order = [caller, (caller + 1) % 3, (caller + 2) % 3];
                    let seen: Vec<_> = order.iter().map(|i| (capacity[*i], traffic[*i])).collect();
                    for (i, share) in order.into_iter().zip(zone_shares(&zones(&seen))) {
                        load[i] += traffic[caller] / traffic.iter().sum::<f64>() * share;
                    }
                }
                for (load, capacity) in load.iter().zip(capacity) {
                    assert!(
                        (load - capacity as f64 / total as f64).abs() < 1e-9,
                        "{load} for {capacity}/{total}"
                    );
                }
            }
        }
    }
}
