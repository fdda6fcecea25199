//! From one hash to others.

/// 2⁶⁴ divided by the golden ratio.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads every input bit over all output bits (the finaliser of `SplitMix64`: Steele, Lea, Flood, "Fast splittable
/// pseudorandom number generators", 2014).
#[inline]
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The `i`-th hash of a key: the key itself, then others that have nothing to do with it or each other.
#[inline]
pub(super) const fn rehash(key: u64, i: u64) -> u64 {
    if i == 0 { key } else { mix(key.wrapping_add(i.wrapping_mul(GOLDEN))) }
}

/// A hash as a number in `0.0..1.0`.
#[inline]
pub(crate) fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_neighbouring_keys_are_even() {
        let mut counts = [0_u32; 16];
        for key in 0..1_000 {
            for i in 1..17 {
                counts[(unit(rehash(key, i)) * 16.0) as usize] += 1;
            }
        }
        assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
        assert_eq!(rehash(5, 0), 5);
    }
}
