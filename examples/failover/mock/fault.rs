//! What is wrong with a vendor, as a function of time: the same in every run.

use std::time::Duration;

/// What a vendor suffers from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    None,
    /// So many requests per window, then 429 until the next one.
    Quota {
        requests: u32,
        window: Duration,
    },
    /// In the second half of every cycle it answers 500 and 503.
    Bursts {
        cycle: Duration,
    },
    /// In the second half of every cycle it takes requests and never answers.
    Hangs {
        cycle: Duration,
    },
}

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Serve,
    /// The quota is used up until then.
    TooMany {
        retry_after: Duration,
    },
    /// 503 with a hint if it has one, else 500.
    Fail {
        retry_after: Option<Duration>,
    },
    Hang,
}

/// The fault, and what it has to remember.
#[derive(Debug)]
pub(crate) struct Trouble {
    fault: Fault,
    requests: u64,
    window: u128,
    used: u32,
}

impl Trouble {
    pub(crate) fn new(fault: Fault) -> Self {
        Self { fault, requests: 0, window: 0, used: 0 }
    }

    /// Judges the next request, `at` after the vendor's start.
    pub(crate) fn judge(&mut self, at: Duration) -> Verdict {
        self.requests += 1;
        match self.fault {
            Fault::Quota { requests, window } => self.within_quota(requests, window, at),
            Fault::Bursts { cycle } if in_second_half(at, cycle) => {
                // One in three says how long it wants to be left alone.
                let hint = self.requests.is_multiple_of(3).then_some(cycle / 8);
                Verdict::Fail { retry_after: hint }
            }
            Fault::Hangs { cycle } if in_second_half(at, cycle) => Verdict::Hang,
            Fault::None | Fault::Bursts { .. } | Fault::Hangs { .. } => Verdict::Serve,
        }
    }

    fn within_quota(&mut self, requests: u32, window: Duration, at: Duration) -> Verdict {
        let index = at.as_nanos() / window.as_nanos();
        if index != self.window {
            (self.window, self.used) = (index, 0);
        }
        if self.used < requests {
            self.used += 1;
            return Verdict::Serve;
        }
        let left = window.as_nanos() - at.as_nanos() % window.as_nanos();
        Verdict::TooMany { retry_after: Duration::from_nanos(left as u64) }
    }
}

fn in_second_half(at: Duration, cycle: Duration) -> bool {
    at.as_nanos() % cycle.as_nanos() >= cycle.as_nanos() / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn a_quota_opens_again_when_it_says_so() {
        let mut trouble = Trouble::new(Fault::Quota { requests: 2, window: ms(100) });
        assert_eq!([10, 20].map(|at| trouble.judge(ms(at))), [Verdict::Serve; 2]);
        assert_eq!(trouble.judge(ms(30)), Verdict::TooMany { retry_after: ms(70) });
        assert_eq!(trouble.judge(ms(100)), Verdict::Serve);
    }

    #[test]
    fn cycles() {
        let mut bursts = Trouble::new(Fault::Bursts { cycle: ms(80) });
        assert_eq!(bursts.judge(ms(39)), Verdict::Serve);
        assert_eq!(bursts.judge(ms(40)), Verdict::Fail { retry_after: None });
        assert_eq!(bursts.judge(ms(79)), Verdict::Fail { retry_after: Some(ms(10)) });
        assert_eq!(bursts.judge(ms(80)), Verdict::Serve);
        let mut hangs = Trouble::new(Fault::Hangs { cycle: ms(80) });
        assert_eq!(
            [0, 50, 81].map(|at| hangs.judge(ms(at))),
            [Verdict::Serve, Verdict::Hang, Verdict::Serve]
        );
    }
}
