//! Reading a service as a whole, and comparing versions: [`Reading`] and [`Version`].
//!
//! A transaction and not a script: the answer is not copied through Lua, and who only reads needs no right to run
//! scripts.

use redis::Value;

use crate::connection::{ConnectionError, Link, Transaction};
use crate::keys::ServiceKeys;

/// A service as it was at one moment.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// 0: nothing was ever written.
    pub(crate) version: u64,
    pub(crate) epoch: Vec<u8>,
    /// The server's clock, in ms.
    pub(crate) now: u64,
    /// By id.
    pub(crate) instances: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) overrides: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) config: Option<Vec<u8>>,
    /// Ids that were deregistered lately, and the version at which they were.
    pub(crate) removed: Vec<(Vec<u8>, u64)>,
    /// Ids whose heartbeats have stopped and that nobody has reaped, and when they expired.
    pub(crate) expired: Vec<(Vec<u8>, u64)>,
}

/// Reads a service in one step of the server; a large one `apart` from other commands.
pub(crate) async fn read(
    link: &Link,
    keys: &ServiceKeys,
    expired_before: u64,
    apart: bool,
) -> Result<Reading, ConnectionError> {
    let mut commands = redis::pipe();
    commands.atomic();
    commands.cmd("MGET").arg(keys.version()).arg(keys.epoch()).arg(keys.config());
    commands.cmd("TIME");
    commands.cmd("HGETALL").arg(keys.instances());
    commands.cmd("HGETALL").arg(keys.overrides());
    commands.cmd("ZRANGE").arg(keys.removed()).arg(0).arg(-1).arg("WITHSCORES");
    commands.cmd("ZRANGEBYSCORE").arg(keys.expiries()).arg("-inf").arg(expired_before).arg("WITHSCORES");
    let mut guide = redis::cmd("EXISTS");
    guide.arg(keys.version());
    let all = Transaction { commands, guide };
    let answer = if apart { link.transaction_apart(&all).await? } else { link.transaction(&all).await? };
    parse(answer).ok_or(ConnectionError::Unexpected { operation: "reading a service" })
}

fn parse(answer: Value) -> Option<Reading> {
    let Value::Array(parts) = answer else { return None };
    let [heads, time, instances, overrides, removed, expired] = <[Value; 6]>::try_from(parts).ok()?;
    let (version, epoch, config): (Option<u64>, Option<Vec<u8>>, Option<Vec<u8>>) =
        redis::from_redis_value(heads).ok()?;
    let removed: Vec<(Vec<u8>, f64)> = redis::from_redis_value(removed).ok()?;
    let mut instances: Vec<(Vec<u8>, Vec<u8>)> = redis::from_redis_value(instances).ok()?;
    // Who takes them over keeps them in this order, and does it faster in it.
    instances.sort_unstable();
    Some(Reading {
        version: version.unwrap_or(0),
        epoch: epoch.unwrap_or_default(),
        now: milliseconds(time)?,
        instances,
        overrides: redis::from_redis_value(overrides).ok()?,
        config,
        // `owner id`
        removed: removed
            .into_iter()
            .filter_map(|(member, at)| {
                let space = member.iter().position(|&b| b == b' ')?;
                Some((member[space + 1..].to_vec(), at as u64))
            })
            .collect(),
        expired: scored(expired)?,
    })
}

/// What the server's clock says, in ms; fits an `i64`.
fn milliseconds(time: Value) -> Option<u64> {
    let (seconds, micros): (u64, u64) = redis::from_redis_value(time).ok()?;
    let ms = seconds.checked_mul(1000)?.checked_add(micros / 1000)?;
    i64::try_from(ms).is_ok().then_some(ms)
}

fn scored(value: Value) -> Option<Vec<(Vec<u8>, u64)>> {
    let scored: Vec<(Vec<u8>, f64)> = redis::from_redis_value(value).ok()?;
    Some(scored.into_iter().map(|(member, score)| (member, score as u64)).collect())
}

/// What is compared every few seconds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) epoch: Vec<u8>,
    /// When the first announced instance expires, unless it beats, in ms of the server's clock.
    pub(crate) first_expiry: Option<u64>,
}

/// The server's clock, in ms.
pub(crate) async fn time(link: &Link) -> Result<u64, ConnectionError> {
    let answer = link.query(&redis::cmd("TIME")).await?;
    milliseconds(answer).ok_or(ConnectionError::Unexpected { operation: "asking for the time" })
}

/// What a service is at.
pub(crate) async fn version(link: &Link, keys: &ServiceKeys) -> Result<Version, ConnectionError> {
    let mut pipeline = redis::pipe();
    pipeline.cmd("MGET").arg(keys.version()).arg(keys.epoch());
    pipeline.cmd("ZRANGE").arg(keys.expiries()).arg(0).arg(0).arg("WITHSCORES");
    let answer = link.pipeline(&pipeline).await?;
    let parse = |answer| {
        let Value::Array(parts) = answer else { return None };
        let [heads, first] = <[Value; 2]>::try_from(parts).ok()?;
        let (version, epoch): (Option<u64>, Option<Vec<u8>>) = redis::from_redis_value(heads).ok()?;
        let first_expiry = scored(first)?.first().map(|(_, at)| *at);
        Some(Version { number: version.unwrap_or(0), epoch: epoch.unwrap_or_default(), first_expiry })
    };
    parse(answer).ok_or(ConnectionError::Unexpected { operation: "comparing versions" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_none_stops_nobody() {
        let says = |seconds: &str, micros: &str| {
            milliseconds(Value::Array([seconds, micros].map(|s| Value::BulkString(s.into())).to_vec()))
        };
        assert_eq!(says("7", "8999"), Some(7008));
        assert_eq!(says("18446744073709551615", "0"), None);
        assert_eq!(says("18446744073709551", "999999"), None);
        assert_eq!(says("-1", "0"), None);
    }
}
