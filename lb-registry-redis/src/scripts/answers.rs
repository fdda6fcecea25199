//! What scripts answer.

use lb_core::registry::Revision;
use redis::Value;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done.
    Done,
    /// There is nothing that could be changed.
    Absent,
    /// It was deregistered on purpose.
    Removed,
    /// Somebody else has written it since.
    TakenOver,
    /// The configuration is at another revision.
    Conflict,
}

impl Answer {
    fn of(status: i64) -> Option<Self> {
        Some(match status {
            0 => Self::Absent,
            1 => Self::Done,
            2 => Self::Removed,
            3 => Self::TakenOver,
            4 => Self::Conflict,
            _ => return None,
        })
    }
}

/// A status alone.
pub(crate) fn single(value: &Value) -> Option<Answer> {
    Answer::of(redis::from_redis_value_ref(value).ok()?)
}

/// A status and a revision.
pub(crate) fn pair(value: &Value) -> Option<(Answer, Revision)> {
    let (status, revision): (i64, String) = redis::from_redis_value_ref(value).ok()?;
    Some((Answer::of(status)?, Revision::new(revision.parse().ok()?)))
}

/// One status per instance.
pub(crate) fn beat_statuses(value: &Value) -> Option<Vec<Answer>> {
    let statuses: Vec<i64> = redis::from_redis_value_ref(value).ok()?;
    statuses.into_iter().map(Answer::of).collect()
}
