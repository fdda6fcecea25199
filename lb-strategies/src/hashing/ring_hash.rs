//! The hash ring of gRPC and Envoy: [`RingHash`].

use lb_core::StrategySpec;
use lb_core::strategy::{MemberSet, Picker, Slot, Strategy, StrategyError};
use serde::Deserialize;
use xxhash_rust::xxh64::xxh64;

use super::bound::LoadFactor;
use super::nodes::Source;
use super::picker::{HashPicker, Table};
use super::ring::Ring;
use crate::params::{in_range, invalid};

/// A hash ring, which can be that of gRPC (gRFC A42) and Envoy (`ring_hash`). Requests with the same key
/// (`CallOptions::hash_key`) go to the same member; when one leaves, its keys are spread over the others.
///
/// Use it where other clients of the same service use gRPC's or Envoy's ring and must agree with it, or where the
/// *next* member on the ring must be the one that takes over (replicas are often placed so). Otherwise
/// [`Maglev`](crate::Maglev) spreads keys far more evenly for less memory.
///
/// Each member has points at xxh64 (seed 0) of `{id}_{i}`, i = 0, 1, …, as many as are due to its weight; a key belongs to
/// the first point at or behind its hash. Give instances the `host:port` by which the other clients know them as their id.
/// The lightest member has 128 points ([`points_per_member`](Self::points_per_member)), others in proportion, and the
/// shares of keys differ by about 1/√points (3 % at 1,000 points per member, 9 % at 128).
///
/// **What moves.** Who leaves takes its keys along, 1/N in the mean, and no other key moves, up to 512 members of equal
/// weight. With more the ring is as large as [`max_ring_size`](Self::max_ring_size) allows, and is filled up when one leaves,
/// which moves up to 1 % more. gRPC and Envoy always size the ring as a whole: to agree with them, set their
/// [`min_ring_size`](Self::min_ring_size). It moves 2/N of the keys, unless ⌈`min_ring_size` / N⌉ stays the same. A
/// changed weight moves that part of the keys by which it changed; if it was or becomes the least of all, many.
///
/// A key whose member is not eligible (tried by this call, resting, ejected, draining, full) goes on to the next points.
/// A request without a key is given a random one, as gRPC does where no hash is configured. A member that is eased in
/// ([slow start](lb_core::SlowStart)) takes its keys over one by one, each once.
///
/// A pick is O(1) expected, whatever the number of members and points; O(number of members) if 64 points in a row are of
/// members that are not eligible. No lock, no allocation. A new set costs O(ring · log ring): 0.2 µs per point or so;
/// 16 bytes per point. Changes of neither id nor weight cost O(n log n).
///
/// ```
/// use lb_core::strategy::{Exclusions, PickRequest};
/// use lb_core::testing::StrategyBench;
/// use lb_strategies::RingHash;
///
/// let bench = StrategyBench::new(RingHash::new(), 7).with_equal_members(5);
/// let tried = Exclusions::new();
/// let served_by = |key| {
///     let request = PickRequest { hash_key: Some(key), ..PickRequest::new(&tried) };
///     let lease = bench.pool().acquire(request, &bench.now(), bench.random())?;
///     Ok::<_, lb_core::pool::NoPick>(lease.member().id().clone())
/// };
/// let before = served_by(42)?;
/// bench.put(lb_core::Instance::new("another"));
/// assert_eq!(served_by(42)?, before);
/// # Ok::<_, lb_core::pool::NoPick>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RingHash {
    size: Size,
    load_factor: Option<LoadFactor>,
}

/// How many points there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    max: u32,
    lightest: Lightest,
}

/// How many points the lightest member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lightest {
    /// So many.
    Points(u32),
    /// As many as it takes for so many in all, as in gRPC and Envoy.
    OfRing(u32),
}

const POINTS_PER_MEMBER: u32 = 128;
const MAX_RING_SIZE: u32 = 65_536;
/// What Envoy takes at most.
const LIMIT: u32 = 8 << 20;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    min_ring_size: Option<u32>,
    max_ring_size: Option<u32>,
    points_per_member: Option<u32>,
    load_factor: Option<f64>,
}

impl RingHash {
    /// The name in configuration.
    pub const NAME: &'static str = "ring_hash";

    /// A ring of 128 points per member.
    pub const fn new() -> Self {
        let size = Size { max: MAX_RING_SIZE, lightest: Lightest::Points(POINTS_PER_MEMBER) };
        Self { size, load_factor: None }
    }

    /// At least so many points in all, in the place of [`points_per_member`](Self::points_per_member): the ring of gRPC and
    /// Envoy, where the default is 1,024. With N members of equal weight each has ⌈`points` / N⌉. Kept between 1 and
    /// 8,388,608, and not above [`max_ring_size`](Self::max_ring_size).
    #[must_use]
    pub fn min_ring_size(mut self, points: u32) -> Self {
        self.size.lightest = Lightest::OfRing(points.clamp(1, LIMIT));
        self
    }

    /// At most so many points in all, whatever the weights demand (the lightest member has at least one point, so one
    /// that weighs a millionth of another demands a million). Default 65,536; kept between 1 and 8,388,608.
    ///
    /// gRPC's default is 4,096, with which most of 10,000 members have no point and get nothing; Envoy's 8,388,608, with
    /// which one small weight makes every update take a second.
    #[must_use]
    pub fn max_ring_size(mut self, points: u32) -> Self {
        self.size.max = points.clamp(1, LIMIT);
        self
    }

    /// So many points for the lightest member, however many members there are, and for others in proportion: then
    /// nothing moves but the keys of who leaves. More make shares more even and updates dearer. Default 128; kept between 1
    /// and 8,388,608.
    #[must_use]
    pub fn points_per_member(mut self, points: u32) -> Self {
        self.size.lightest = Lightest::Points(points.clamp(1, LIMIT));
        self
    }

    /// Bounds loads: no member gets more than `factor` times the mean of requests in flight for its weight, rounded
    /// up; what is above goes on along the ring. Less than 1 counts as 1. Default: no bound. 1.25 to 2 are usual: the
    /// closer to 1, the more keys stray. See [`Maglev::load_factor`](crate::Maglev::load_factor) for the rule.
    #[must_use]
    pub fn load_factor(mut self, factor: f64) -> Self {
        self.load_factor = Some(LoadFactor::new(factor));
        self
    }

    /// From configuration:
    /// `{ "points_per_member": 128, "max_ring_size": 65536, "load_factor": 1.25 }`, or with `"min_ring_size": 1024` in the
    /// place of the first.
    pub fn from_params(params: &serde_json::Value) -> Result<Self, StrategyError> {
        let params: Params = StrategySpec::parse_params(Self::NAME, params)?;
        let mut strategy = Self::new();
        if let Some(points) = params.min_ring_size {
            strategy = strategy.min_ring_size(in_range(Self::NAME, "min_ring_size", points, 1..=LIMIT)?);
            // Who asks for a large ring need not raise the limit, too.
            strategy.size.max = strategy.size.max.max(points);
        }
        if let Some(points) = params.max_ring_size {
            strategy = strategy.max_ring_size(in_range(Self::NAME, "max_ring_size", points, 1..=LIMIT)?);
            if params.min_ring_size.is_some_and(|min| min > points) {
                return Err(invalid(Self::NAME, "`min_ring_size` is not above `max_ring_size`"));
            }
        }
        if let Some(points) = params.points_per_member {
            if params.min_ring_size.is_some() {
                return Err(invalid(
                    Self::NAME,
                    "`points_per_member` and `min_ring_size` exclude each other",
                ));
            }
            strategy =
                strategy.points_per_member(in_range(Self::NAME, "points_per_member", points, 1..=LIMIT)?);
        }
        strategy.load_factor = LoadFactor::parse(Self::NAME, params.load_factor)?;
        Ok(strategy)
    }
}

impl Default for RingHash {
    fn default() -> Self {
        Self::new()
    }
}

impl<I: Send + Sync + 'static> Strategy<I> for RingHash {
    fn picker(&self, set: &MemberSet<I>, previous: Option<&dyn Picker<I>>) -> Box<dyn Picker<I>> {
        HashPicker::<I, RingTable>::boxed(self.size, self.load_factor, set, previous)
    }

    fn name(&self) -> &str {
        Self::NAME
    }
}

pub(super) struct RingTable(Ring);

impl Table for RingTable {
    type Spec = Size;

    fn build(size: Size, members: &[Source<'_>]) -> Self {
        let mut points = Vec::new();
        let mut key = String::new();
        for (member, count) in members.iter().zip(counts(size, members)) {
            key.clear();
            key.push_str(member.id);
            key.push('_');
            let prefix = key.len();
            for i in 0..count {
                key.truncate(prefix);
                push_number(&mut key, i);
                points.push((xxh64(key.as_bytes(), 0), member.slot));
            }
        }
        Self(Ring::new(points))
    }

    #[inline]
    fn probe(&self, key: u64) -> impl Iterator<Item = Slot> {
        self.0.walk(key)
    }
}

/// How many points each member gets: Envoy's arithmetic, in its order, because rounding decides.
fn counts(size: Size, members: &[Source<'_>]) -> impl Iterator<Item = u64> {
    let total: f64 = members.iter().map(|member| f64::from(member.weight)).sum();
    let normalized = move |weight| f64::from(weight) / total;
    let min = normalized(members.iter().map(|member| member.weight).min().unwrap_or(1));
    let of_lightest = match size.lightest {
        Lightest::Points(points) => f64::from(points),
        Lightest::OfRing(points) => (min * f64::from(points.min(size.max))).ceil(),
    };
    let scale = (of_lightest / min).min(f64::from(size.max));
    let (mut target, mut sum) = (0.0, 0_u64);
    members.iter().map(move |member| {
        target += scale * normalized(member.weight);
        let before = sum;
        while (sum as f64) < target {
            sum += 1;
        }
        sum - before
    })
}

/// Appends a number in decimal. Formatting takes longer than hashing.
fn push_number(text: &mut String, number: u64) {
    if number >= 10 {
        push_number(text, number / 10);
    }
    text.push((b'0' + (number % 10) as u8) as char);
}

#[cfg(test)]
mod tests {
    use super::super::testing::{ids, lines, set, table};
    use super::*;
    use serde_json::json;

    const REFERENCE: &str = include_str!("../../tests/reference/ring_hash.txt");
    const HOSTS: [&str; 6] =
        ["127.0.0.1:90", "127.0.0.1:91", "127.0.0.1:92", "127.0.0.1:93", "127.0.0.1:94", "127.0.0.1:95"];

    fn sized(min: u32) -> Size {
        RingHash::new().min_ring_size(min).size
    }

    #[test]
    fn the_ring_is_envoy_s() {
        let mut reversed = HOSTS;
        reversed.reverse();
        for hosts in [HOSTS, reversed] {
            let set = set(hosts.map(|host| (host, 1)));
            let RingTable(ring) = table(sized(12), &set);
            let points: Vec<_> =
                ring.points().map(|(point, slot)| (ids(&set, [slot]).remove(0), point)).collect();
            let lines: Vec<_> = lines(REFERENCE).collect();
            let of = |kind| lines.iter().filter(move |line| line[0] == kind);
            let expected: Vec<_> =
                of("point").map(|line| (line[2].to_owned(), line[1].parse().unwrap())).collect();
            assert_eq!((points, of("lookup").count()), (expected, 5));
            for line in of("lookup") {
                let owner = ring.walk(line[1].parse().unwrap()).next();
                assert_eq!(ids(&set, owner), [line[2]], "{line:?}");
            }
        }
    }

    #[test]
    fn sizes_follow_weights_and_limits() {
        let counts = |size, weights: &[u32]| {
            let ids: Vec<_> = (0..weights.len()).map(|i| i.to_string()).collect();
            let set = set(ids.iter().map(|id| &**id).zip(weights.iter().copied()));
            counts(size, &super::super::nodes::sources(&set, str::cmp)).collect::<Vec<_>>()
        };
        assert_eq!(counts(sized(1024), &[1; 3]), [342; 3]);
        assert_eq!(counts(sized(1024), &[1, 2, 1]), [256, 512, 256]);
        assert_eq!(counts(sized(3), &[1, 2, 1]), [1, 2, 1]);
        assert_eq!(counts(RingHash::new().size, &[1, 2, 1]), [128, 256, 128]);
        assert_eq!(counts(RingHash::new().size, &[7; 512]), [128; 512]);
        let fixed = RingHash::new().points_per_member(100);
        assert_eq!(counts(fixed.size, &[1, 2, 5]), [100, 200, 500]);
        assert_eq!(counts(fixed.max_ring_size(400).size, &[1, 2, 5]), [50, 100, 250]);
        // There is not one for everybody; those that there are, are shared out as evenly as can be.
        assert_eq!(counts(RingHash::new().max_ring_size(2).size, &[1, 1, 1, 1]), [1, 0, 1, 0]);
        assert_eq!(counts(sized(1024), &[u32::MAX, 1]), [65_536, 0]);
        assert_eq!(counts(sized(1024), &[]), [0; 0]);
    }

    #[test]
    fn numbers_are_written() {
        let mut text = String::new();
        for n in [0, 9, 10, 8_388_608] {
            push_number(&mut text, n);
            text.push(' ');
        }
        assert_eq!(text, "0 9 10 8388608 ");
    }

    #[test]
    fn parameters_are_checked() {
        let parse = |params| RingHash::from_params(&params);
        assert_eq!(parse(json!({ "min_ring_size": 2048 })).unwrap().size, sized(2048));
        assert_eq!(parse(json!({ "min_ring_size": 100_000 })).unwrap().size.max, 100_000);
        assert_eq!(
            parse(json!({ "max_ring_size": 100 })).unwrap().size,
            RingHash::new().max_ring_size(100).size
        );
        for (params, part) in [
            (json!({ "min_ring_size": 0 }), "`min_ring_size` is from 1 to 8388608, not 0"),
            (json!({ "max_ring_size": 9_000_000 }), "`max_ring_size` is from 1 to 8388608"),
            (json!({ "min_ring_size": 20, "max_ring_size": 10 }), "not above `max_ring_size`"),
            (json!({ "min_ring_size": 20, "points_per_member": 10 }), "exclude each other"),
            (json!({ "load_factor": 0.9 }), "`load_factor` is at least 1, not 0.9"),
            (json!({ "ring_size": 1 }), "`ring_size`"),
        ] {
            let error = parse(params).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
