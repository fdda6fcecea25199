//! When requests come: [`Source`].

use crate::random::Draw;
use crate::scenario::file::Arrivals;

/// Yields the times at which requests come, and says when a caller of a closed loop comes back.
#[derive(Debug)]
pub(super) struct Source {
    arrivals: Arrivals,
    /// The share of all requests that come here.
    share: f64,
    draw: Draw,
    until: u64,
    /// When the last request came. Not in whole nanoseconds: rounding each gap down would make a rate of millions a second
    /// some thousandths higher, which matters close to saturation.
    last: f64,
    /// Requests that may still come in a closed loop.
    left: u64,
    /// Requests that come at the very start, before all others.
    at_start: usize,
}

impl Source {
    pub(super) fn new(arrivals: Arrivals, share: f64, draw: Draw, until: u64, at_start: usize) -> Self {
        let (left, at_start) = match arrivals {
            Arrivals::Closed { callers, requests, .. } => {
                let left = requests.unwrap_or(u64::MAX);
                let callers = callers.min(usize::try_from(left).unwrap_or(usize::MAX));
                (left - callers as u64, callers)
            }
            _ => (0, at_start),
        };
        Self { arrivals, share, draw, until, last: 0.0, left, at_start }
    }

    /// When the next request comes; `None`: no more, or not before another one has ended.
    pub(super) fn next(&mut self) -> Option<u64> {
        if self.at_start > 0 {
            self.at_start -= 1;
            return Some(0);
        }
        let at = match &self.arrivals {
            Arrivals::Closed { .. } => return None,
            Arrivals::Poisson(rate) => {
                let rate = rate * self.share;
                self.last + gap(&mut self.draw, rate)
            }
            Arrivals::Constant(rate) => self.last + 1e9 / (rate * self.share),
            Arrivals::Profile(points) => {
                let most = points.iter().map(|(_, rate)| *rate).fold(0.0, f64::max) * self.share;
                let mut at = self.last;
                loop {
                    at += gap(&mut self.draw, most);
                    if at >= self.until as f64
                        || self.draw.unit() * most < profile(points, at as u64) * self.share
                    {
                        break at;
                    }
                }
            }
            Arrivals::Burst { base, peak, every, lasts } => {
                let most = base.max(*peak) * self.share;
                let mut at = self.last;
                loop {
                    at += gap(&mut self.draw, most);
                    let bursting = at as u64 >= every.0 && at as u64 % every.0 < lasts.0;
                    let rate = if bursting { peak } else { base } * self.share;
                    if at >= self.until as f64 || self.draw.unit() * most < rate {
                        break at;
                    }
                }
            }
        };
        self.last = at;
        let at = (at as u64).max(1);
        (at < self.until).then_some(at)
    }

    /// A call has ended: when its caller makes the next one.
    pub(super) fn again(&mut self, now: u64) -> Option<u64> {
        let Arrivals::Closed { think, .. } = &self.arrivals else { return None };
        let at = now + (self.draw.exponential() * think.0 as f64) as u64;
        if self.left == 0 || at >= self.until {
            return None;
        }
        self.left -= 1;
        Some(at)
    }
}

fn gap(draw: &mut Draw, rate: f64) -> f64 {
    if rate <= 0.0 { f64::INFINITY } else { draw.exponential() * 1e9 / rate }
}

fn profile(points: &[(crate::scenario::Span, f64)], at: u64) -> f64 {
    let after = points.partition_point(|(time, _)| time.0 <= at);
    if after == 0 {
        return points[0].1;
    }
    let (t0, r0) = points[after - 1];
    points.get(after).map_or(r0, |(t1, r1)| r0 + (r1 - r0) * (at - t0.0) as f64 / (t1.0 - t0.0) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Span;

    fn times(arrivals: Arrivals) -> Vec<u64> {
        let mut source = Source::new(arrivals, 1.0, Draw::new(1, 0, 0), 10_000_000_000, 0);
        std::iter::from_fn(|| source.next()).collect()
    }

    #[test]
    fn rates_are_kept() {
        for (arrivals, expected) in [
            (Arrivals::Constant(1000.0), 10_000.0),
            (Arrivals::Poisson(1000.0), 10_000.0),
            (Arrivals::Profile(vec![(Span(0), 0.0), (Span::ms(10_000), 2000.0)]), 10_000.0),
            (
                Arrivals::Burst { base: 500.0, peak: 1500.0, every: Span::ms(2_000), lasts: Span::ms(1_000) },
                9_000.0,
            ),
        ] {
            let times = times(arrivals.clone());
            assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
            let n = times.len() as f64;
            assert!((n / expected - 1.0).abs() < 0.03, "{arrivals:?}: {n}");
        }
    }

    #[test]
    fn a_closed_loop_makes_just_so_many() {
        let arrivals = Arrivals::Closed { callers: 3, requests: Some(10), think: Span(0) };
        let mut source = Source::new(arrivals, 1.0, Draw::new(1, 0, 0), u64::MAX, 0);
        let first = std::iter::from_fn(|| source.next()).count();
        let later = std::iter::from_fn(|| source.again(5)).count();
        assert_eq!((first, later), (3, 7));
    }
}
