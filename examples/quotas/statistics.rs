//! Means, and how sure they are.

/// A mean and half of its 95 % interval.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    pub(crate) mean: f64,
    pub(crate) interval: f64,
}

impl Mean {
    /// Of `f` of each. The interval is that of a normal distribution, with Student's factor for ten values.
    pub(crate) fn of<T>(values: &[T], f: impl Fn(&T) -> f64) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().map(&f).sum::<f64>() / n;
        let variance = values.iter().map(|value| (f(value) - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        Self { mean, interval: 2.262 * (variance / n).sqrt() }
    }

    #[allow(dead_code, reason = "for the tests")]
    pub(crate) fn upper(self) -> f64 {
        self.mean + self.interval
    }

    #[allow(dead_code, reason = "for the tests")]
    pub(crate) fn lower(self) -> f64 {
        self.mean - self.interval
    }
}
