//! The hash ring of memcached clients: [`Ketama`].

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Slot, Strategy, StrategyError};
use md5::{Digest, Md5};
use serde::Deserialize;

use super::bound::LoadFactor;
use super::nodes::Source;
use super::picker::{HashPicker, Table};
use super::ring::Ring;

/// The hash ring of libketama, which many memcached clients share. Requests with the same key
/// (`CallOptions::hash`) go to the same member; when one leaves, its keys are spread over the others.
///
/// Use it only to agree with clients that use libketama's ring; [`Maglev`](crate::Maglev) is more even and cheaper. To
/// agree, give instances the address by which those know them as their id (`10.0.1.1:11211`), the memory as their weight,
/// and requests the hash [`ketama_hash`] of their key.
///
/// Of N members, each has 4 points for every MD5 of `{id}-{i}`, i below ⌊40 · N · its part of all weights⌋: 160 if all
/// weigh the same (156 for some N, because libketama rounds in single precision; so does this). A key belongs to the first
/// point at or behind it; points have 32 bits, and of a request's hash the lower 32 count. The shares of keys differ by
/// about 8 %. A member that weighs less than a fortieth of the mean has no point, and is only asked when others are not
/// eligible.
///
/// **What moves.** Who leaves takes its keys along, which are spread over the others; for some N 2 % more move because of
/// the rounding. With unequal weights the others' points change a little, too.
///
/// Ineligible members, requests without a key and slow start are treated as by [`RingHash`](crate::RingHash).
///
/// A pick is O(1) expected; no lock, no allocation. A new set costs about 8 µs per member.
///
/// ```
/// use lb_core::strategy::{Exclusions, PickRequest};
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::{Ketama, ketama_hash};
///
/// let bench = StrategyBench::new(Ketama::new(), 7).with_equal_members(5);
/// let tried = Exclusions::new();
/// let served_by = |key: &str| {
///     let hash_key = Some(ketama_hash(key.as_bytes()));
///     let request = PickRequest { hash_key, ..PickRequest::new(&tried) };
///     let lease = bench.pool().acquire(request, &bench.now(), bench.random())?;
///     Ok::<_, lb_core::pool::NoPick>(lease.member().id().clone())
/// };
/// assert_eq!(served_by("user-42")?, served_by("user-42")?);
/// # Ok::<_, lb_core::pool::NoPick>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Ketama {
    load_factor: Option<LoadFactor>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    load_factor: Option<f64>,
}

impl Ketama {
    /// The name in configuration.
    pub const NAME: &'static str = "ketama";

    /// libketama's ring.
    pub const fn new() -> Self {
        Self { load_factor: None }
    }

    /// Bounds loads: no member gets more than `factor` times the mean of requests in flight for its weight, rounded
    /// up; what is above goes on along the ring. Less than 1 counts as 1. Default: no bound. See
    /// [`Maglev::load_factor`](crate::Maglev::load_factor) for the rule.
    #[must_use]
    pub fn load_factor(mut self, factor: f64) -> Self {
        self.load_factor = Some(LoadFactor::new(factor));
        self
    }

    /// From configuration: `{ "load_factor": null }`.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        Ok(Self { load_factor: LoadFactor::parse(Self::NAME, params.load_factor)? })
    }
}

/// The hash by which libketama looks up a key: the first four bytes of its MD5, the least significant first. For
/// `CallOptions::hash`.
///
/// ```
/// assert_eq!(lb_strategies::ketama_hash(b""), 0xd98c_1dd4);
/// ```
pub fn ketama_hash(key: &[u8]) -> u64 {
    let [first, ..] = points_of(key);
    first.into()
}

/// The four points of one MD5.
fn points_of(text: &[u8]) -> [u32; 4] {
    let digest: [u8; 16] = Md5::digest(text).into();
    std::array::from_fn(|i| {
        u32::from_le_bytes([digest[4 * i], digest[4 * i + 1], digest[4 * i + 2], digest[4 * i + 3]])
    })
}

impl<I: Send + Sync + 'static> Strategy<I> for Ketama {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        HashPicker::<I, KetamaTable>::boxed((), self.load_factor, set, previous)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

struct KetamaTable(Ring);

impl Table for KetamaTable {
    type Spec = ();

    fn build((): (), members: &[Source<'_>]) -> Self {
        let total: u64 = members.iter().map(|member| u64::from(member.weight)).sum();
        let mut points = Vec::new();
        for member in members {
            for i in 0..repetitions(member.weight, total, members.len()) {
                let text = format!("{}-{i}", member.id);
                points.extend(points_of(text.as_bytes()).map(|point| (widen(point.into()), member.slot)));
            }
        }
        Self(Ring::new(points))
    }

    #[inline]
    fn probe(&self, key: u64) -> impl Iterator<Item = Slot> {
        self.0.walk(widen(key))
    }
}

/// A place on a circle of 32 bits, on one of 64.
const fn widen(point: u64) -> u64 {
    point << 32
}

/// How many MD5s a member has: with libketama's precision, because rounding decides.
fn repetitions(weight: u32, total: u64, members: usize) -> u32 {
    let part = weight as f32 / total as f32;
    let repetitions = (f64::from(part) * 40.0 * f64::from(members as f32)) as f32;
    repetitions.floor() as u32
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, lines, set, table};
    use super::*;
    use serde_json::json;

    const REFERENCE: &str = include_str!("../../tests/reference/ketama.txt");

    #[test]
    fn the_ring_is_libketama_s() {
        let lines: Vec<_> = lines(REFERENCE).collect();
        let of = |kind| lines.iter().filter(move |line| line[0] == kind);
        let set = set(of("server").map(|line| (line[1], line[2].parse().unwrap())));
        let KetamaTable(ring) = table((), &set);
        let points: Vec<_> =
            ring.points().map(|(point, slot)| (point >> 32, ids(&set, [slot]).remove(0))).collect();
        let count = of("count").next().unwrap()[1].parse::<usize>().unwrap();
        assert_eq!(points.len(), count);
        assert!(of("point").count() > 30);
        for line in of("point") {
            let (place, point) = (line[1].parse::<usize>().unwrap(), line[2].parse().unwrap());
            assert_eq!(points[place], (point, line[3].to_owned()));
        }
        for line in of("key") {
            let hash = ketama_hash(line[1].as_bytes());
            let owner = KetamaTable::probe(&KetamaTable(Ring::new(ring.points().collect())), hash).next();
            assert_eq!((hash.to_string(), ids(&set, owner)), (line[2].to_owned(), vec![line[3].to_owned()]));
        }
    }

    #[test]
    fn rounding_is_libketama_s() {
        let lines = lines(REFERENCE).filter(|line| line[0] == "repetitions");
        let expected: Vec<(u32, u32)> =
            lines.map(|line| (line[1].parse().unwrap(), line[2].parse().unwrap())).collect();
        assert!(expected.len() > 10 && expected.iter().any(|(_, repetitions)| *repetitions == 39));
        for (members, repetitions_each) in expected {
            assert_eq!(repetitions(1, members.into(), members as usize), repetitions_each, "of {members}");
        }
    }

    #[test]
    fn of_a_hash_the_lower_bits_count() {
        let set = set([("a", 1), ("b", 1), ("c", 1)]);
        let table: KetamaTable = table((), &set);
        for key in (0..u64::MAX).step_by(usize::MAX / 50) {
            assert!(table.probe(key).eq(table.probe(key & u64::from(u32::MAX))));
        }
    }

    #[test]
    fn parameters_are_checked() {
        assert!(Ketama::from_params(&json!({ "load_factor": 1.5 })).unwrap().load_factor.is_some());
        assert!(Ketama::from_params(&json!({ "load_factor": 0 })).is_err());
        assert!(Ketama::from_params(&json!({ "points": 160 })).is_err());
    }
}
