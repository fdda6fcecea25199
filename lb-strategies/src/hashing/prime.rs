//! Prime numbers.

/// Whether `n` is prime. O(√n).
pub(super) fn is_prime(n: u32) -> bool {
    n >= 2 && (2..=n.isqrt()).all(|divisor| !n.is_multiple_of(divisor))
}

/// The first prime from `n` on; `n` is at most 2³¹.
pub(super) fn prime_from(n: u32) -> u32 {
    (n..).find(|n| is_prime(*n)).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_found() {
        let primes: Vec<_> = (0..50).filter(|n| is_prime(*n)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47]);
        assert_eq!((prime_from(0), prime_from(8), prime_from(11), prime_from(65_536)), (2, 11, 11, 65_537));
        assert!(is_prime(5_000_011));
    }
}
