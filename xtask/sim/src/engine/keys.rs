//! Which key a request has: [`Keys`].

use crate::random::{Draw, hash};
use crate::scenario::file;

/// Draws keys.
#[derive(Debug)]
pub(super) enum Keys {
    None,
    Even(usize),
    /// For each key, the share of requests for it and those before it.
    Shares(Vec<f64>),
}

impl Keys {
    pub(super) fn new(keys: file::Keys) -> Self {
        if keys.count == 0 {
            return Self::None;
        }
        if keys.zipf == 0.0 {
            return Self::Even(keys.count);
        }
        let mut sum = 0.0;
        let weights = (1..=keys.count).map(|rank| (rank as f64).powf(-keys.zipf));
        let sums: Vec<_> = weights
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        Self::Shares(sums.into_iter().map(|share| share / sum).collect())
    }

    /// The hash of the next request's key.
    pub(super) fn draw(&self, draw: &mut Draw) -> Option<u64> {
        let key = match self {
            Self::None => return None,
            Self::Even(count) => draw.below(*count),
            Self::Shares(shares) => {
                let unit = draw.unit();
                shares.partition_point(|share| *share <= unit)
            }
        };
        Some(hash(0, 0, key as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_is_the_most_wanted_by_the_law() {
        let first = |zipf| {
            let keys = Keys::new(file::Keys { count: 100, zipf });
            let draws = (0..100_000).map(|n| keys.draw(&mut Draw::new(1, n, 0)));
            draws.filter(|key| *key == Some(hash(0, 0, 0))).count()
        };
        assert!((900..1_100).contains(&first(0.0)), "one of a hundred");
        // 1 of 1 + 1/2 + … + 1/100 = 5.187.
        assert!((18_700..19_900).contains(&first(1.0)), "{}", first(1.0));
        assert_eq!(Keys::new(file::Keys { count: 0, zipf: 0.0 }).draw(&mut Draw::new(1, 0, 0)), None);
    }
}
