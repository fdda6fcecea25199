//! What is written down of a run: [`Record`].

use crate::scenario::Scenario;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum End {
    /// With an answer.
    Ok,
    /// Its last attempt failed.
    Failed,
    /// Its last attempt took too long.
    TimedOut,
    /// Its deadline passed, or would have.
    Deadline,
    /// Nobody was available.
    Nobody,
    /// Too many calls waited already.
    Overloaded,
    /// It was still under way at the end of the run.
    Unfinished,
}

impl End {
    /// All, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Failed,
        Self::TimedOut,
        Self::Deadline,
        Self::Nobody,
        Self::Overloaded,
        Self::Unfinished,
    ];

    /// What reports call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Deadline => "deadline",
            Self::Nobody => "nobody",
            Self::Overloaded => "overloaded",
            Self::Unfinished => "unfinished",
        }
    }
}

/// Into how many equal parts of time a run is cut for plots.
pub const BUCKETS: usize = 60;

/// What happened in one part of a run.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    /// Calls that began in it.
    pub calls: u64,
    /// Those of them that were answered.
    pub ok: u64,
    /// Latencies of those that were answered, in microseconds.
    pub latencies: Vec<u32>,
    /// Attempts that began in it.
    pub attempts: u64,
    /// … on hosts that were in trouble.
    pub bad: u64,
    /// The most requests that one host held, at work or waiting.
    pub most: u32,
}

/// What is written down of a run.
#[derive(Clone, Debug)]
pub struct Record {
    width: u64,
    warmup: u64,
    troubles: Vec<(u64, u64)>,
    /// The run, in [`BUCKETS`] parts.
    pub buckets: Vec<Bucket>,
    /// Calls by how they ended.
    pub ends: [u64; End::ALL.len()],
    /// Sum of the latencies of calls that were answered, in nanoseconds.
    pub latency: f64,
    /// Attempts.
    pub attempts: u64,
    /// Attempts while some host was in trouble.
    pub attempts_in_trouble: u64,
    /// … on such a host.
    pub bad: u64,
    /// Attempts on each host.
    pub hosts: Vec<u64>,
    /// How many clients have used each host.
    pub users: Vec<u32>,
    /// Events that were worked through.
    pub events: u64,
    /// Picks that were made, those that found nobody among them.
    pub picks: u64,
}

impl Record {
    /// An empty record.
    pub fn new(scenario: &Scenario) -> Self {
        let troubles = scenario.hosts.iter().flat_map(|host| &host.faults);
        let mut troubles: Vec<_> = troubles.map(|fault| (fault.from, fault.until)).collect();
        troubles.sort_unstable();
        troubles.dedup();
        Self {
            width: (scenario.duration.0 / BUCKETS as u64).max(1),
            warmup: scenario.warmup.0,
            troubles,
            buckets: vec![Bucket::default(); BUCKETS],
            ends: [0; End::ALL.len()],
            latency: 0.0,
            attempts: 0,
            attempts_in_trouble: 0,
            bad: 0,
            hosts: vec![0; scenario.hosts.len()],
            users: vec![0; scenario.hosts.len()],
            events: 0,
            picks: 0,
        }
    }

    fn bucket(&mut self, at: u64) -> &mut Bucket {
        let index = ((at / self.width) as usize).min(BUCKETS - 1);
        &mut self.buckets[index]
    }

    /// An attempt begins, on a host that is in trouble or not.
    #[inline]
    pub(crate) fn attempt(&mut self, at: u64, host: usize, in_trouble: bool) {
        if at < self.warmup {
            return;
        }
        self.attempts += 1;
        self.hosts[host] += 1;
        if self.troubles.iter().any(|(from, until)| (*from..*until).contains(&at)) {
            self.attempts_in_trouble += 1;
            self.bad += u64::from(in_trouble);
        }
        let bucket = self.bucket(at);
        bucket.attempts += 1;
        bucket.bad += u64::from(in_trouble);
    }

    /// A host holds that many requests.
    #[inline]
    pub(crate) fn load(&mut self, at: u64, load: usize) {
        let bucket = self.bucket(at);
        bucket.most = bucket.most.max(u32::try_from(load).unwrap_or(u32::MAX));
    }

    /// A call ends.
    #[inline]
    pub(crate) fn call(&mut self, began: u64, now: u64, end: End) {
        if began < self.warmup {
            return;
        }
        self.ends[end as usize] += 1;
        let bucket = self.bucket(began);
        bucket.calls += 1;
        if end == End::Ok {
            bucket.ok += 1;
            bucket.latencies.push(u32::try_from((now - began + 500) / 1000).unwrap_or(u32::MAX));
            self.latency += (now - began) as f64;
        }
    }

    /// Adds what another part of the same run has written down.
    pub(crate) fn add(&mut self, other: Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            mine.calls += theirs.calls;
            mine.ok += theirs.ok;
            mine.latencies.extend(theirs.latencies);
            mine.attempts += theirs.attempts;
            mine.bad += theirs.bad;
            mine.most = mine.most.max(theirs.most);
        }
        self.ends.iter_mut().zip(other.ends).for_each(|(mine, theirs)| *mine += theirs);
        self.hosts.iter_mut().zip(other.hosts).for_each(|(mine, theirs)| *mine += theirs);
        self.users.iter_mut().zip(other.users).for_each(|(mine, theirs)| *mine += theirs);
        self.latency += other.latency;
        self.attempts += other.attempts;
        self.attempts_in_trouble += other.attempts_in_trouble;
        self.bad += other.bad;
        self.events += other.events;
        self.picks += other.picks;
    }

    /// Calls.
    pub fn calls(&self) -> u64 {
        self.ends.iter().sum()
    }

    /// Calls that were answered.
    pub fn ok(&self) -> u64 {
        self.ends[End::Ok as usize]
    }

    /// The mean latency of calls that were answered, in seconds.
    pub fn mean_latency(&self) -> f64 {
        self.latency / self.ok() as f64 / 1e9
    }
}
