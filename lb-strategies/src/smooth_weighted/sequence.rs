//! The order of nginx's smooth weighted round robin: [`sequence`].

use std::collections::BTreeMap;

/// The longest order that is made.
pub(super) const LONGEST: u64 = 65_536;

/// Who comes when in one cycle of smooth weighted round robin, by place; `None` if the cycle, the sum of the weights
/// divided by their greatest common divisor, is longer than 65,536. Weights are above 0.
///
/// In each turn everybody gets its weight added to what it has, who has most (the first of several) comes, and has the sum of
/// all weights taken away. Those of the same weight come strictly one after the other, so only one per weight need be
/// looked at, and there are at most 361 different weights: O(cycle · different weights).
pub(super) fn sequence(weights: &[u32]) -> Option<Vec<u16>> {
    let divisor = weights.iter().copied().fold(0, gcd);
    if divisor == 0 {
        return None;
    }
    let total = weights.iter().map(|weight| u64::from(weight / divisor)).sum::<u64>();
    if total > LONGEST {
        return None;
    }
    let mut groups: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
    for (place, weight) in weights.iter().enumerate() {
        // Below the cycle's length, because every weight is at least 1.
        groups.entry(weight / divisor).or_default().push(place as u16);
    }
    let total = total as i64;
    let mut groups: Vec<Group> =
        groups.into_iter().map(|(weight, places)| Group::new(weight, places)).collect();
    let mut order = Vec::with_capacity(total as usize);
    for _ in 0..total {
        let mut best: Option<usize> = None;
        for i in 0..groups.len() {
            groups[i].step();
            let ahead = best.is_none_or(|best| groups[i].key(total) > groups[best].key(total));
            if ahead {
                best = Some(i);
            }
        }
        order.push(groups[best?].come());
    }
    Some(order)
}

/// The places of one weight.
struct Group {
    weight: i64,
    places: Vec<u16>,
    /// Who of them comes next.
    next: usize,
    /// What each would have if it had never come.
    sum: i64,
    /// How often the next one has come.
    rounds: i64,
}

impl Group {
    fn new(weight: u32, places: Vec<u16>) -> Self {
        Self { weight: i64::from(weight), places, next: 0, sum: 0, rounds: 0 }
    }

    fn step(&mut self) {
        self.sum += self.weight;
    }

    /// What the next one has, and, for those who have the same, that the first place comes first.
    fn key(&self, total: i64) -> (i64, std::cmp::Reverse<u16>) {
        (self.sum - self.rounds * total, std::cmp::Reverse(self.places[self.next]))
    }

    fn come(&mut self) -> u16 {
        let place = self.places[self.next];
        self.next += 1;
        if self.next == self.places.len() {
            self.next = 0;
            self.rounds += 1;
        }
        place
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rule as nginx has it.
    fn by_the_book(weights: &[u32]) -> Vec<u16> {
        let total: i64 = weights.iter().map(|weight| i64::from(*weight)).sum();
        let divisor = i64::from(weights.iter().copied().fold(0, gcd));
        let mut current = vec![0_i64; weights.len()];
        let mut order = Vec::new();
        for _ in 0..total / divisor {
            let mut best = 0;
            for i in 0..current.len() {
                current[i] += i64::from(weights[i]);
                if current[i] > current[best] {
                    best = i;
                }
            }
            current[best] -= total;
            order.push(best as u16);
        }
        order
    }

    fn letters(weights: &[u32]) -> String {
        sequence(weights).unwrap().into_iter().map(|place| char::from(b'a' + place as u8)).collect()
    }

    /// The first is from nginx, commit 52327e0627f4; the others follow from the same rule.
    #[test]
    fn the_reference_orders() {
        assert_eq!(letters(&[5, 1, 1]), "aabacaa");
        assert_eq!(letters(&[1, 2, 3]), "cbacbc");
        assert_eq!(letters(&[4, 3, 2]), "abcabacba");
        assert_eq!(letters(&[7, 3, 2]), "abacaabacaba");
        assert_eq!(letters(&[50, 10, 10]), "aabacaa", "by the greatest common divisor");
        assert_eq!(letters(&[3, 3, 3]), "abc");
    }

    #[test]
    fn only_what_is_short_enough_is_made() {
        assert_eq!(sequence(&[65_535, 1]).map(|order| order.len()), Some(65_536));
        assert!(sequence(&[65_536, 1]).is_none());
        assert_eq!(sequence(&vec![7; 65_536]).map(|order| order.len()), Some(65_536));
        assert!(sequence(&vec![7; 65_537]).is_none());
        assert!(sequence(&[u32::MAX; 3]).is_some() && sequence(&[]).is_none());
    }

    proptest! {
        #[test]
        fn it_is_the_rule_of_nginx(weights in prop::collection::vec(1_u32..30, 1..12)) {
            prop_assert_eq!(sequence(&weights).unwrap(), by_the_book(&weights));
        }
    }
}
