//! Which key went where: [`Memory`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lb_core::Time;

use crate::hashing::{id_hash, mix};

/// A member, as [`Memory`] knows it: 40 bits of the hash of its id. Two of 10,000 members are alike with a chance of
/// 1 in 20,000; then some keys stick to one of the two rather than the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(id: &str) -> Self {
        // Never 0, which is an empty place.
        Self((id_hash(id) >> 24).max(1))
    }
}

/// Where a key has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Note {
    pub(super) member: Fingerprint,
    /// Whether it has been followed: that is, whether a second request of the key went there.
    pub(super) is_firm: bool,
    used: Seconds,
}

/// Seconds since the beginning of time, modulo 2²³: 97 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seconds(u64);

const SECONDS: u64 = (1 << 23) - 1;

impl Seconds {
    fn of(time: Time) -> Self {
        Self(time.as_nanos() / 1_000_000_000 & SECONDS)
    }

    fn age(self, now: Self) -> u64 {
        now.0.wrapping_sub(self.0) & SECONDS
    }
}

impl Note {
    /// 40 bits of the member, one of whether it is firm, 23 of the time.
    const fn pack(self) -> u64 {
        self.member.0 << 24 | (self.is_firm as u64) << 23 | self.used.0
    }

    const fn unpack(data: u64) -> Self {
        Self { member: Fingerprint(data >> 24), is_firm: data >> 23 & 1 == 1, used: Seconds(data & SECONDS) }
    }
}

/// A table of fixed size from keys to members, without locks, of two words per place: what is known, and that xor the
/// key. A place of which two threads have each written one word matches no key, so it is empty (Hyatt and Mann, "A
/// lockless transposition table", ICGA Journal 25, 2002). All accesses are relaxed.
///
/// A key has four places, on one cache line. When they are full the one that has not been used for the longest time is
/// given up.
#[derive(Debug)]
pub(super) struct Memory {
    buckets: Box<[Bucket]>,
    ttl: u64,
}

const WAYS: usize = 4;

#[derive(Debug, Default)]
#[repr(align(64))]
struct Bucket([Place; WAYS]);

#[derive(Debug, Default)]
struct Place {
    check: AtomicU64,
    data: AtomicU64,
}

impl Place {
    fn read(&self) -> (u64, u64) {
        let data = self.data.load(Ordering::Relaxed);
        (self.check.load(Ordering::Relaxed) ^ data, data)
    }

    fn write(&self, key: u64, note: Note) {
        let data = note.pack();
        self.data.store(data, Ordering::Relaxed);
        self.check.store(key ^ data, Ordering::Relaxed);
    }
}

impl Memory {
    /// For at least `capacity` keys, each until it has not been used for `ttl` (whole seconds).
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        let buckets = capacity.div_ceil(WAYS).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| Bucket::default()).collect(), ttl: ttl.as_secs() }
    }

    /// How many keys it has places for.
    pub(super) fn capacity(&self) -> usize {
        self.buckets.len() * WAYS
    }

    pub(super) fn ttl(&self) -> Duration {
        Duration::from_secs(self.ttl)
    }

    fn bucket(&self, key: u64) -> (u64, &Bucket) {
        let key = mix(key);
        (key, &self.buckets[key as usize & (self.buckets.len() - 1)])
    }

    /// What is known of a key.
    pub(super) fn get(&self, key: u64, now: Time) -> Option<Note> {
        let ((key, bucket), now) = (self.bucket(key), Seconds::of(now));
        let mut notes = bucket.0.iter().map(Place::read).filter(|(of, data)| *of == key && *data != 0);
        notes.find_map(|(_, data)| Some(Note::unpack(data)).filter(|note| note.used.age(now) <= self.ttl))
    }

    /// Notes that a key went to a member.
    pub(super) fn put(&self, key: u64, member: Fingerprint, is_firm: bool, now: Time) {
        let ((key, bucket), used) = (self.bucket(key), Seconds::of(now));
        let age = |place: &Place| match place.read() {
            (of, data) if of == key && data != 0 => u64::MAX,
            (_, 0) => u64::MAX - 1,
            (_, data) => Note::unpack(data).used.age(used),
        };
        if let Some(place) = bucket.0.iter().max_by_key(|place| age(place)) {
            place.write(key, Note { member, is_firm, used });
        }
    }

    /// Notes that a key was used again where it had gone. Writes at most once a second for a key.
    pub(super) fn follow(&self, key: u64, note: Note, now: Time) {
        if !note.is_firm || note.used != Seconds::of(now) {
            self.put(key, note.member, true, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::after_origin(Duration::from_secs(seconds))
    }

    fn memory() -> Memory {
        Memory::new(64, Duration::from_secs(10))
    }

    fn member(memory: &Memory, key: u64, now: Time) -> Option<Fingerprint> {
        memory.get(key, now).map(|note| note.member)
    }

    #[test]
    fn a_key_is_known_until_it_has_not_been_used_for_long() {
        let (memory, a, b) = (memory(), Fingerprint::of("a"), Fingerprint::of("b"));
        assert_eq!(member(&memory, 7, at(1)), None);
        memory.put(7, a, false, at(1));
        assert_eq!((member(&memory, 7, at(11)), member(&memory, 7, at(12))), (Some(a), None));
        assert_eq!(member(&memory, 8, at(1)), None);
        memory.follow(7, memory.get(7, at(9)).unwrap(), at(9));
        assert_eq!(member(&memory, 7, at(19)), Some(a));
        assert!(memory.get(7, at(19)).unwrap().is_firm);
        memory.put(7, b, false, at(9));
        assert_eq!(member(&memory, 7, at(9)), Some(b));
    }

    #[test]
    fn the_least_recently_used_is_given_up() {
        let memory = Memory::new(4, Duration::from_secs(100));
        let members: Vec<_> = (0..5).map(|i| Fingerprint::of(&i.to_string())).collect();
        for (i, member) in members.iter().enumerate().take(4) {
            memory.put(i as u64, *member, false, at(10 + i as u64));
        }
        memory.follow(0, memory.get(0, at(20)).unwrap(), at(20));
        memory.put(4, members[4], false, at(21));
        let known: Vec<_> = (0..5).filter(|key| memory.get(*key, at(21)).is_some()).collect();
        assert_eq!(known, [0, 2, 3, 4]);
    }

    #[test]
    fn most_of_as_many_keys_as_it_has_places_for_are_kept() {
        let memory = Memory::new(65_536, Duration::from_secs(10));
        assert_eq!(memory.capacity(), 65_536);
        let known = |keys: u64| {
            (0..keys).for_each(|key| memory.put(key, Fingerprint::of("a"), false, at(1)));
            (0..keys).filter(|key| memory.get(*key, at(1)).is_some()).count()
        };
        assert!(known(32_768) > 30_000, "half full: {}", known(32_768));
        assert!(known(65_536) > 50_000, "{}", known(65_536));
    }

    #[test]
    fn time_may_wrap_around() {
        let (memory, a, day) = (memory(), Fingerprint::of("a"), 97 * 24 * 3600);
        for start in [SECONDS - 5, SECONDS, day, 0] {
            memory.put(start, a, false, at(start));
            assert_eq!(member(&memory, start, at(start + 9)), Some(a));
            assert_eq!(member(&memory, start, at(start + 11)), None);
        }
    }

    /// Whatever threads do to the same places, what is read is something that was written for that key.
    #[test]
    fn threads_never_mix_up_keys() {
        let memory = Memory::new(4, Duration::from_secs(10));
        let of = |key: u64| Fingerprint::of(&key.to_string());
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let memory = &memory;
                scope.spawn(move || {
                    for i in 0..50_000 {
                        let key = (i * 7 + thread) % 16;
                        memory.put(key, of(key), i % 2 == 0, at(i % 3));
                        let other = i % 16;
                        assert!(member(memory, other, at(2)).is_none_or(|found| found == of(other)));
                    }
                });
            }
        });
    }
}
