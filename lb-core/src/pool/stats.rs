//! What the balancer knows of a service, for people and for monitoring.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::config::human;
use crate::failure::FailureKind;
use crate::health::{EjectionReason, HealthState};
use crate::limit::QuotaStatus;
use crate::member::{Member, MemberState, RestReason};
use crate::registry::{Freshness, InstanceState, Revision};
use crate::time::Time;

/// What the balancer knows of one service at one moment. Serialisable; durations are in a human form.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ServiceStats {
    /// The service.
    pub service: Arc<str>,
    /// The strategy in force.
    pub strategy: String,
    /// The registry's revision that is in force.
    pub revision: Revision,
    /// How far the set of instances can be trusted.
    pub freshness: Freshness,
    /// Entries of the registry that could not be read and were left out.
    pub skipped: usize,
    /// Calls that wait for an instance.
    pub waiting: usize,
    /// Whole tokens left in the retry budget.
    pub retry_tokens: u64,
    /// Whether too few instances are healthy (see [`OutlierDetection`](crate::OutlierDetection::panic_threshold)).
    pub panic: bool,
    /// How many instances are ejected, those included that are probed after that.
    pub ejected: usize,
    /// All instances, ordered by id; among them those that left but still have requests running.
    pub instances: Vec<InstanceStats>,
}

/// What the balancer knows of one instance.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct InstanceStats {
    /// Its id.
    pub id: Arc<str>,
    /// Where it is in its life, by the registry. `None`: it is not registered any more.
    pub state: Option<InstanceState>,
    /// Whether it drains, by its owner's or an operator's will.
    pub draining: bool,
    /// The weight in force.
    pub weight: u32,
    /// Requests in flight.
    pub in_flight: u64,
    /// Requests ever given to it.
    pub requests: u64,
    /// Failures by kind; kinds that never occurred are left out.
    pub failures: BTreeMap<&'static str, u64>,
    /// Attempts dropped before they had an outcome.
    pub cancelled: u64,
    /// Moving average of successful attempts' latency.
    #[serde(with = "human::option")]
    pub latency: Option<Duration>,
    /// Moving average of the time to the first byte, if requests report it.
    #[serde(with = "human::option")]
    pub first_byte: Option<Duration>,
    /// How it is doing.
    pub health: HealthState,
    /// How often it was ejected.
    pub ejections: u64,
    /// Why it was last ejected.
    pub last_ejection: Option<EjectionReason>,
    /// How long it still rests, or is left out.
    #[serde(with = "human::option")]
    pub resting_for: Option<Duration>,
    /// Why it rests.
    pub rest_reason: Option<RestReason>,
    /// What is left of its quota, from 0 to 1.
    pub headroom: f64,
    /// Its quota group, if it has a named one or a quota of its own.
    pub quota_group: Option<String>,
    /// The limits in force of its quota group; `None`: nothing is declared, hinted at or learned.
    pub quota: Option<QuotaStatus>,
}

impl InstanceStats {
    pub(crate) fn of<I>(member: &Member<I>, now: Time) -> Self {
        let rest = member.resting(now);
        Self {
            state: Some(member.entry().state),
            draining: member.entry().over.draining || member.entry().state == InstanceState::Draining,
            weight: member.weight(),
            resting_for: rest.map(|(left, _)| left),
            rest_reason: rest.map(|(_, why)| why),
            headroom: member.headroom(now),
            quota_group: member.quota_group().map(|group| group.key().to_owned()),
            quota: member.quota_group().and_then(|group| group.status(now)),
            ..Self::gone(member.state(), member.health().status(member.state(), now))
        }
    }

    pub(crate) fn gone(state: &MemberState, health: HealthState) -> Self {
        let track = state.track();
        let failures = FailureKind::ALL.iter().map(|kind| (kind.as_str(), state.failures(*kind)));
        Self {
            id: Arc::clone(state.id()),
            state: None,
            draining: true,
            weight: 0,
            in_flight: state.in_flight(),
            requests: state.started(),
            failures: failures.filter(|(_, n)| *n > 0).collect(),
            cancelled: state.cancelled(),
            health,
            ejections: track.ejections,
            last_ejection: track.reason,
            latency: state.latency(),
            first_byte: state.first_byte(),
            resting_for: None,
            rest_reason: None,
            headroom: 0.0,
            quota_group: None,
            quota: None,
        }
    }
}
