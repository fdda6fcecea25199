//! A table with a member in each place: [`Maglev`].

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Slot, Strategy, StrategyError};
use serde::Deserialize;
use xxhash_rust::xxh64::xxh64;

use super::bound::LoadFactor;
use super::mix::rehash;
use super::nodes::Source;
use super::picker::{HashPicker, PROBES, Table};
use super::prime::{is_prime, prime_from};
use crate::params::{in_range, invalid};

/// Maglev's look-up table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016),
/// as Envoy builds it. Requests with the same key (`CallOptions::hash_key`) go to the same member.
///
/// Use it by default where a key should find the member that has its data at hand: caches, sessions, prompts with a
/// common beginning. Its shares are the most even of all tables, and a pick is one look. Do not use it where a change of
/// the set must not move anything but the keys of who left ([`Rendezvous`](crate::Rendezvous) does that), or where other
/// clients use a ring.
///
/// The table has [`table_size`](Self::table_size) places. Each member has an order of its own in which it would like to
/// have them (from `xxh64(id) mod size`, in steps of `xxh64(id, seed 1) mod (size − 1) + 1`), and all take the next that is
/// free in turn, those with less weight less often. A key belongs to the member at place `hash mod size`. The shares of two
/// members of equal weight differ by at most one place.
///
/// **What moves.** When one of N members leaves, its 1/N of the keys, and a few of the others': about 2 % with the default
/// size and 10 or 100 members. A larger table moves fewer. The same holds for who comes, and for changed weights.
///
/// A key whose member is not eligible (tried by this call, resting, ejected, draining, full) is hashed again, up to 64
/// times; then one of the eligible is taken by rendezvous hashing. So what a member cannot serve is spread evenly over
/// all others, and a key still goes to the same one as long as the same members are eligible. A request without a
/// key is given a random one. A member that is eased in ([slow start](lb_core::SlowStart)) takes its keys over one by
/// one, each once; until then they go where they would if it were not eligible.
///
/// A pick is O(1), or O(number of members) if hardly any is eligible; no lock, no allocation. A new set costs a few
/// milliseconds with the default size (O(size · log size)), on the side of whoever applies it, never of a pick or of a
/// registry's stream; 4 bytes per place. Changes of neither id nor weight cost O(n log n).
///
/// ```
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::Maglev;
///
/// // Requests of many keys, and some without.
/// let bench = StrategyBench::new(Maglev::new(), 7).with_weights([1, 3]);
/// let shares = bench.shares(4_000, &Default::default());
/// assert!((900..1_100).contains(&shares["m000"]), "{shares:?}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Maglev {
    table_size: u32,
    load_factor: Option<LoadFactor>,
}

const TABLE_SIZE: u32 = 65_537;
/// What Envoy takes at most.
const MAX_TABLE_SIZE: u32 = 5_000_011;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    table_size: Option<u32>,
    load_factor: Option<f64>,
}

impl Maglev {
    /// The name in configuration.
    pub const NAME: &'static str = "maglev";

    /// A table of 65,537 places.
    pub const fn new() -> Self {
        Self { table_size: TABLE_SIZE, load_factor: None }
    }

    /// How many places the table has: a prime from 2 to 5,000,011, default 65,537, as in Envoy. Take at least 100 times
    /// the number of members, so that shares are even to 1 %; with fewer places than members some get nothing.
    ///
    /// ```
    /// use lb_strategies::Maglev;
    ///
    /// assert!(Maglev::new().table_size(655_373).is_ok());
    /// let error = Maglev::new().table_size(65_536).unwrap_err();
    /// assert!(error.to_string().contains("the next prime is 65537"));
    /// ```
    pub fn table_size(mut self, places: u32) -> Result<Self, StrategyError> {
        in_range(Self::NAME, "table_size", places, 2..=MAX_TABLE_SIZE)?;
        if !is_prime(places) {
            let next = prime_from(places);
            // In a table of another size some members would step over the same places for ever.
            return Err(invalid(
                Self::NAME,
                format!("`table_size` is a prime, which {places} is not; the next prime is {next}"),
            ));
        }
        self.table_size = places;
        Ok(self)
    }

    /// Bounds loads: with m requests in flight, counting the one that is placed, no member of n gets one that would lift
    /// it above ⌈`factor` · m / n⌉ (in proportion to its weight). Less than 1 counts as 1. Default: no bound.
    ///
    /// So a hot key cannot overload its member: what is above goes on to other members, which depend on the key, so
    /// that two keys of one hot member part ways. 1.25 to 2 are usual; the closer to 1, the more keys stray. If no
    /// eligible member has room (because others, which have, are not eligible), the least loaded one is taken.
    ///
    /// The requests in flight are those of this process. Among up to 32 members their number is exact; among more it is
    /// at most n/24 picks old, so that a member can be a little above its bound just after the load has fallen. A pick
    /// looks at up to 32 more members for it.
    ///
    /// Source: Mirrokni, Thorup, Zadimoghaddam, "Consistent Hashing with Bounded Loads" (arXiv:1608.01350); the random
    /// order as in Envoy's `hash_balance_factor`.
    #[must_use]
    pub fn load_factor(mut self, factor: f64) -> Self {
        self.load_factor = Some(LoadFactor::new(factor));
        self
    }

    /// From configuration: `{ "table_size": 65537, "load_factor": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let mut strategy = Self::new().table_size(params.table_size.unwrap_or(TABLE_SIZE))?;
        strategy.load_factor = LoadFactor::parse(Self::NAME, params.load_factor)?;
        Ok(strategy)
    }
}

impl Default for Maglev {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for Maglev {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        HashPicker::<I, MaglevTable>::boxed(self.table_size, self.load_factor, set, previous)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

/// Who has which place; empty if there is nobody.
struct MaglevTable(Box<[Slot]>);

impl Table for MaglevTable {
    type Spec = u32;

    fn build(size: u32, members: &[Source<'_>]) -> Self {
        let mut filling = Filling::new(size, members);
        let max = members.iter().map(|member| member.weight).max().unwrap_or(0);
        if members.iter().all(|member| member.weight == max) {
            while !members.is_empty() && filling.free > 0 {
                (0..members.len()).for_each(|member| filling.take(member));
            }
        } else {
            fill_by_weight(&mut filling, members, max.into());
        }
        let slot = |member: u32| members.get(member as usize).map(|member| member.slot);
        Self(filling.places.into_iter().filter_map(slot).collect())
    }

    #[inline]
    fn probe(&self, key: u64) -> impl Iterator<Item = Slot> {
        let probes = if self.0.is_empty() { 0 } else { PROBES as u64 };
        (0..probes).map(move |i| self.0[(rehash(key, i) % self.0.len() as u64) as usize])
    }
}

/// Who takes a place when. All take one in the first round; later, in round r one of weight w takes its k-th (from 0 on) as
/// soon as `r · w ≥ k · max`, so the heaviest take one in each round. That is Envoy's rule, without looking at everybody in
/// every round.
fn fill_by_weight(filling: &mut Filling, members: &[Source<'_>], max: u64) {
    let mut turns: BinaryHeap<_> = (0..members.len()).map(|member| Reverse((1_u64, member, 1_u64))).collect();
    while filling.free > 0 {
        let Some(Reverse((round, member, k))) = turns.pop() else { return };
        filling.take(member);
        let due = (k * max).div_ceil(members[member].weight.max(1).into());
        turns.push(Reverse((due.max(round + 1), member, k + 1)));
    }
}

/// A table that is being filled.
struct Filling {
    places: Vec<u32>,
    free: usize,
    wishes: Vec<Wish>,
}

/// The next place that a member would like to have, and how far it is to the one after that.
struct Wish {
    place: u32,
    step: u32,
}

const FREE: u32 = u32::MAX;

impl Filling {
    fn new(size: u32, members: &[Source<'_>]) -> Self {
        let modulo = |hash: u64, n: u32| (hash % u64::from(n)) as u32;
        let wish = |member: &Source<'_>| Wish {
            place: modulo(xxh64(member.id.as_bytes(), 0), size),
            step: modulo(xxh64(member.id.as_bytes(), 1), size - 1) + 1,
        };
        let places = vec![FREE; size as usize];
        Self { free: places.len(), places, wishes: members.iter().map(wish).collect() }
    }

    /// Gives a member the next free place that it would like to have. Because the size is prime its steps reach all.
    fn take(&mut self, member: usize) {
        if self.free == 0 {
            return;
        }
        let (size, wish) = (self.places.len() as u32, &mut self.wishes[member]);
        loop {
            let place = wish.place;
            // Both are below 5,000,011.
            wish.place += wish.step;
            if wish.place >= size {
                wish.place -= size;
            }
            if self.places[place as usize] == FREE {
                self.places[place as usize] = member as u32;
                self.free -= 1;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, lines, set, table};
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    const REFERENCE: &str = include_str!("../../tests/reference/maglev.txt");

    fn owners(size: u32, members: &[(&str, u32)]) -> Vec<String> {
        let set = set(members.iter().copied());
        let MaglevTable(slots) = table(size, &set);
        ids(&set, slots)
    }

    fn counts(owners: &[String]) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for id in owners {
            *counts.entry(&**id).or_default() += 1;
        }
        counts
    }

    #[test]
    fn the_table_is_envoy_s() {
        let mut tables = 0;
        for line in lines(REFERENCE).filter(|line| line[0] == "table") {
            let (host, port) = line[1].split_at(line[1].find("90").unwrap());
            let mut members: Vec<String> = (90..96).map(|port| format!("{host}{port}")).collect();
            assert_eq!(port, "90");
            for _ in 0..6 {
                members.rotate_left(1);
                let members: Vec<_> = members.iter().map(|id| (&**id, 1)).collect();
                let table = owners(7, &members);
                let expected: Vec<_> =
                    line[2..].iter().map(|i| format!("{host}{}", 90 + i.parse::<u32>().unwrap())).collect();
                assert_eq!(table, expected);
            }
            tables += 1;
        }
        let weighted = lines(REFERENCE).find(|line| line[0] == "weighted").unwrap();
        let table = owners(65_537, &[("a", 1), ("b", 2)]);
        let counts = counts(&table);
        assert_eq!([counts["a"].to_string(), counts["b"].to_string()], weighted[1..]);
        assert_eq!(tables, 2);
    }

    /// The rule as it is written in the source, looking at everybody in every round.
    #[test]
    fn the_order_by_weight_is_the_rule_s() {
        for weights in
            [&[1_u32, 2][..], &[3, 1, 2, 3], &[100, 1, 1, 1], &[u32::MAX, 1, 7], &[5, 4, 3, 2, 1, 1]]
        {
            let members: Vec<_> =
                weights.iter().enumerate().map(|(i, weight)| (format!("m{i}"), *weight)).collect();
            let members: Vec<_> = members.iter().map(|(id, weight)| (&**id, *weight)).collect();
            let set = set(members.iter().copied());
            let sources = super::super::nodes::sources(&set, str::cmp);
            let max = u64::from(*weights.iter().max().unwrap());
            let (mut filling, mut targets) = (Filling::new(499, &sources), vec![0; weights.len()]);
            for round in 1.. {
                for (member, weight) in weights.iter().enumerate() {
                    if round * u64::from(*weight) >= targets[member] {
                        targets[member] += max;
                        filling.take(member);
                    }
                }
                if filling.free == 0 {
                    break;
                }
            }
            let expected: Vec<_> = filling.places.iter().map(|member| members[*member as usize].0).collect();
            assert_eq!(owners(499, &members), expected, "{weights:?}");
        }
    }

    #[test]
    fn shares_differ_by_one_place() {
        for n in [1, 3, 10, 100, 499, 600] {
            let ids: Vec<_> = (0..n).map(|i| format!("10.0.0.{i}:80")).collect();
            let members: Vec<_> = ids.iter().map(|id| (&**id, 3)).collect();
            let table = owners(499, &members);
            let counts = counts(&table);
            let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
            assert!(most - least <= 1, "{counts:?}");
            assert_eq!(counts.len(), n.min(499));
        }
    }

    #[test]
    fn parameters_are_checked() {
        assert_eq!(Maglev::from_params(&json!({ "table_size": 5_000_011 })).unwrap().table_size, 5_000_011);
        assert_eq!(Maglev::from_params(&json!({})).unwrap().table_size, 65_537);
        for (params, part) in [
            (
                json!({ "table_size": 65_536 }),
                "`table_size` is a prime, which 65536 is not; the next prime is 65537",
            ),
            (json!({ "table_size": 1 }), "`table_size` is from 2 to 5000011, not 1"),
            (json!({ "table_size": 5_000_012 }), "from 2 to 5000011"),
            (json!({ "load_factor": 0.5 }), "`load_factor`"),
            (json!({ "size": 7 }), "`size`"),
        ] {
            let error = Maglev::from_params(&params).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
