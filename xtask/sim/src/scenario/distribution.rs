//! How long a host works on a request: [`Distribution`].

use serde::Deserialize;

use super::span::Span;
use crate::random::Draw;

/// How long a host works on a request, before its speed and its troubles are reckoned in.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Distribution {
    /// Always the same.
    Constant(Span),
    /// Memoryless, with this mean.
    Exponential(Span),
    /// Anything between the two, evenly.
    Uniform(Span, Span),
    /// Log-normal, by its median and its 99th percentile.
    Lognormal {
        /// Half of the requests take less.
        median: Span,
        /// One in a hundred takes more.
        p99: Span,
    },
    /// Mostly `fast`, sometimes `slow`; each exponential around that mean.
    Bimodal {
        /// The mean of most.
        fast: Span,
        /// The mean of the others.
        slow: Span,
        /// How many are slow, 0 to 1.
        slow_share: f64,
    },
    /// Measured: pairs of a share from 0 to 1 and the time within which that share of requests was done. Between two
    /// pairs the times are spread evenly.
    Quantiles(Vec<(f64, Span)>),
}

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874_040_841;

impl Distribution {
    /// What is wrong with it, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Uniform(from, to) if from > to => Err(format!("uniform: {from} is more than {to}")),
            Self::Lognormal { median, p99 } if median.0 == 0 || p99 < median => {
                Err("lognormal: it takes 0 < median ≤ p99".into())
            }
            Self::Bimodal { slow_share, .. } if !(0.0..=1.0).contains(slow_share) => {
                Err(format!("bimodal: slow_share is from 0 to 1, not {slow_share}"))
            }
            Self::Quantiles(points) => {
                let grows = points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
                let ends = points.first().zip(points.last()).is_some_and(|(a, b)| a.0 <= 0.0 && b.0 >= 1.0);
                if grows && ends {
                    Ok(())
                } else {
                    Err("quantiles: shares grow from 0.0 to 1.0, and times never fall".into())
                }
            }
            _ => Ok(()),
        }
    }

    /// A time, in nanoseconds.
    pub fn sample(&self, draw: &mut Draw) -> f64 {
        match self {
            Self::Constant(time) => time.0 as f64,
            Self::Exponential(mean) => draw.exponential() * mean.0 as f64,
            Self::Uniform(from, to) => from.0 as f64 + draw.unit() * (to.0 - from.0) as f64,
            Self::Lognormal { median, p99 } => {
                let sigma = (p99.0 as f64 / median.0 as f64).ln() / Z99;
                median.0 as f64 * (sigma * draw.normal()).exp()
            }
            Self::Bimodal { fast, slow, slow_share } => {
                let mean = if draw.unit() < *slow_share { slow } else { fast };
                draw.exponential() * mean.0 as f64
            }
            Self::Quantiles(points) => {
                let u = draw.unit();
                let after = points.partition_point(|(share, _)| *share <= u).clamp(1, points.len() - 1);
                let ((s0, t0), (s1, t1)) = (points[after - 1], points[after]);
                t0.0 as f64 + (u - s0) / (s1 - s0) * (t1.0 - t0.0) as f64
            }
        }
    }

    /// The mean, in nanoseconds.
    pub fn mean(&self) -> f64 {
        match self {
            Self::Constant(time) | Self::Exponential(time) => time.0 as f64,
            Self::Uniform(from, to) => f64::midpoint(from.0 as f64, to.0 as f64),
            Self::Lognormal { median, p99 } => {
                let sigma = (p99.0 as f64 / median.0 as f64).ln() / Z99;
                median.0 as f64 * (sigma * sigma / 2.0).exp()
            }
            Self::Bimodal { fast, slow, slow_share } => {
                fast.0 as f64 * (1.0 - slow_share) + slow.0 as f64 * slow_share
            }
            Self::Quantiles(points) => points
                .windows(2)
                .map(|pair| (pair[1].0 - pair[0].0) * f64::midpoint(pair[0].1.0 as f64, pair[1].1.0 as f64))
                .sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_the_mean_that_they_should() {
        let all = [
            Distribution::Constant(Span::ms(20)),
            Distribution::Exponential(Span::ms(20)),
            Distribution::Uniform(Span::ms(10), Span::ms(50)),
            Distribution::Lognormal { median: Span::ms(20), p99: Span::ms(80) },
            Distribution::Bimodal { fast: Span::ms(5), slow: Span::ms(100), slow_share: 0.1 },
            Distribution::Quantiles(vec![(0.0, Span::ms(1)), (0.9, Span::ms(10)), (1.0, Span::ms(100))]),
        ];
        for distribution in all {
            distribution.check().expect("valid");
            let n = 200_000;
            let total: f64 = (0..n).map(|i| distribution.sample(&mut Draw::new(7, i, 0))).sum();
            let (found, mean) = (total / n as f64, distribution.mean());
            assert!((found / mean - 1.0).abs() < 0.01, "{distribution:?}: {found} instead of {mean}");
        }
    }

    #[test]
    fn what_is_no_distribution_is_refused() {
        let quantiles = |points: &[(f64, u64)]| {
            Distribution::Quantiles(points.iter().map(|(share, ms)| (*share, Span::ms(*ms))).collect())
        };
        for wrong in [
            Distribution::Uniform(Span::ms(2), Span::ms(1)),
            Distribution::Lognormal { median: Span::ms(0), p99: Span::ms(1) },
            Distribution::Bimodal { fast: Span::ms(1), slow: Span::ms(2), slow_share: 1.5 },
            quantiles(&[]),
            quantiles(&[(0.0, 1), (0.5, 2)]),
            quantiles(&[(0.0, 2), (1.0, 1)]),
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
