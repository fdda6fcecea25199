//! Who takes part: six vendors, and a seventh that joins later.

use std::fmt;
use std::time::Duration;

use super::fault::Fault;

/// How one vendor behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    pub(crate) id: &'static str,
    /// How long an answer takes.
    pub(crate) delay: Duration,
    pub(crate) fault: Fault,
    /// Whether it is asked for streamed answers.
    pub(crate) stream: bool,
    /// The key that the application has.
    pub(crate) key: &'static str,
    /// What else is to be told of it.
    remark: &'static str,
}

/// The key that the vendors take.
pub(crate) const VALID_KEY: &str = "sk-mock-valid";

/// The vendor that is switched off half-way.
pub(crate) const SWITCHED_OFF: &str = "slow";

/// The six vendors that are there from the beginning. Their troubles recur with `cycle`.
pub(crate) fn six(cycle: Duration) -> [Role; 6] {
    let window = cycle / 2;
    // Half of what a sixth of the requests would need.
    let quota = Fault::Quota { requests: (25.0 * window.as_secs_f64()) as u32, window };
    let steady = healthy("steady", 40);
    let in_trouble = |id, fault| Role { id, fault, ..steady };
    [
        steady,
        Role {
            stream: true,
            remark: ", streamed; goes into maintenance half-way",
            ..healthy(SWITCHED_OFF, 250)
        },
        in_trouble("quota", quota),
        in_trouble("bursts", Fault::Bursts { cycle }),
        in_trouble("hangs", Fault::Hangs { cycle: cycle * 3 / 2 }),
        Role {
            key: "sk-mock-expired",
            remark: ", but not with the expired key that we have: 401",
            ..healthy("bad-key", 40)
        },
    ]
}

/// The vendor that joins later.
pub(crate) fn seventh() -> Role {
    Role { remark: "; is registered after a third of the run", ..healthy("newcomer", 50) }
}

fn healthy(id: &'static str, delay: u64) -> Role {
    let delay = Duration::from_millis(delay);
    Role { id, delay, fault: Fault::None, stream: false, key: VALID_KEY, remark: "" }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9} answers in {:?}{}", self.id, self.delay, self.remark)?;
        match self.fault {
            Fault::None => Ok(()),
            Fault::Quota { requests, window } => {
                write!(f, ", {requests} requests per {window:?}; then 429 with a retry-after-ms")
            }
            Fault::Bursts { cycle } => write!(f, "; 500 and 503 during {:?} of every {cycle:?}", cycle / 2),
            Fault::Hangs { cycle } => write!(f, "; not at all during {:?} of every {cycle:?}", cycle / 2),
        }
    }
}
