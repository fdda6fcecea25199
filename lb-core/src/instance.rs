//! What can be balanced over: [`ServiceInstance`], and [`Instance`] for those who need no type of their own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::Limits;
use crate::secret::Secret;

/// Everything needed to call one provider of a service: a host of a microservice, or one key at one vendor of a
/// language model.
///
/// Implement it for your own type; only [`id`](Self::id) is required. The closure given to `execute` receives your
/// type back. All methods are read when the set of instances changes, not per call, and must be cheap and return the
/// same value every time: to change an instance, register a new value with the same id.
///
/// ```
/// use lb_core::ServiceInstance;
///
/// struct Vendor { name: String, base_url: String }
///
/// impl ServiceInstance for Vendor {
///     fn id(&self) -> &str { &self.name }
/// }
/// ```
pub trait ServiceInstance: Send + Sync + 'static {
    /// Stable and unique within the service. What the balancer knows of an instance (calls in flight, latency,
    /// failures) is kept under this id and survives updates of the instance.
    ///
    /// Must be non-empty, at most 256 bytes, without control characters; registries refuse others.
    fn id(&self) -> &str;

    /// `host:port` or a URL, for those who need one: your closure, other clients of the same registry. The balancer
    /// does not read it. Default `None`.
    fn address(&self) -> Option<&str> {
        None
    }

    /// Relative share of requests, by strategies that know weights. 0 means: no new requests. Default 1. An operator's
    /// [`Override`](crate::registry::Override) takes its place.
    fn weight(&self) -> u32 {
        1
    }

    /// Priority tier, for strategies that know tiers (`Priority` of `lb-strategies`; the default does not): 0 is used
    /// first, higher ones take the overflow. Default 0.
    fn priority(&self) -> u32 {
        0
    }

    /// Where the instance runs, for strategies that prefer the caller's own zone (`ZoneAware` of `lb-strategies`; the
    /// default does not). Default `None`.
    fn zone(&self) -> Option<&str> {
        None
    }

    /// The quota of this instance or, if it has a [`quota_group`](Self::quota_group), of the whole group: then declare
    /// the same with every member. Default none.
    fn limits(&self) -> Limits {
        Limits::NONE
    }

    /// Instances with the same group share one account's quota: what one of them uses is used for all, and when one is
    /// told to slow down, all rest. Groups are known by name across all services of one balancer. `None` (the
    /// default): the instance is a group of its own.
    fn quota_group(&self) -> Option<&str> {
        None
    }
}

/// A ready-made [`ServiceInstance`]: an id, and whatever of the rest is needed.
///
/// ```
/// use lb_core::Instance;
///
/// let instance = Instance::new("cart-7").with_address("10.0.0.7:8080").with_weight(2).with_metadata("rack", "b4");
/// assert_eq!(instance.metadata["rack"], "b4");
///
/// let from_a_file: Instance = serde_json::from_str(r#"{ "id": "cart-8", "limits": { "concurrency": 64 } }"#)?;
/// assert_eq!((from_a_file.weight, from_a_file.limits.concurrency), (1, Some(64)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Instance {
    /// See [`ServiceInstance::id`].
    pub id: String,
    /// See [`ServiceInstance::address`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// See [`ServiceInstance::weight`]. Default 1.
    #[serde(default = "one")]
    pub weight: u32,
    /// See [`ServiceInstance::priority`]. Default 0.
    #[serde(default)]
    pub priority: u32,
    /// See [`ServiceInstance::zone`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// See [`ServiceInstance::limits`]. Default none.
    #[serde(default, skip_serializing_if = "Limits::is_none")]
    pub limits: Limits,
    /// See [`ServiceInstance::quota_group`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_group: Option<String>,
    /// Free-form labels. The balancer does not read them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Keys, passwords and tokens, by what they are for. The balancer does not read them. They travel as references.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Secret>,
}

const fn one() -> u32 {
    1
}

impl Instance {
    /// An instance with weight 1 and nothing else. The id is checked when it is registered.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            address: None,
            weight: 1,
            priority: 0,
            zone: None,
            limits: Limits::NONE,
            quota_group: None,
            metadata: BTreeMap::new(),
            secrets: BTreeMap::new(),
        }
    }

    /// Sets the address.
    pub fn with_address(mut self, address: impl Into<String>) -> Self {
        self.address = Some(address.into());
        self
    }

    /// Sets the weight; 0 means no new requests.
    pub fn with_weight(mut self, weight: u32) -> Self {
        self.weight = weight;
        self
    }

    /// Sets the priority tier; see [`ServiceInstance::priority`].
    pub fn with_priority(mut self, priority: u32) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the zone; see [`ServiceInstance::zone`].
    pub fn with_zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// Sets the declared limits; see [`ServiceInstance::limits`].
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Puts the instance into a quota group; see [`ServiceInstance::quota_group`].
    pub fn with_quota_group(mut self, group: impl Into<String>) -> Self {
        self.quota_group = Some(group.into());
        self
    }

    /// Adds a secret, or replaces the one of that name: `instance.with_secret("api_key", Secret::env("OPENAI_KEY"))`.
    pub fn with_secret(mut self, name: impl Into<String>, secret: Secret) -> Self {
        self.secrets.insert(name.into(), secret);
        self
    }

    /// The secret of that name.
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secrets.get(name)
    }

    /// Adds a label, or replaces the one of that key.
    pub fn with_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

impl ServiceInstance for Instance {
    fn id(&self) -> &str {
        &self.id
    }
    fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn priority(&self) -> u32 {
        self.priority
    }
    fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }
    fn limits(&self) -> Limits {
        self.limits
    }
    fn quota_group(&self) -> Option<&str> {
        self.quota_group.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_needs_only_the_id() {
        let instance: Instance = serde_json::from_str(r#"{"id":"a"}"#).unwrap();
        assert_eq!(instance, Instance::new("a"));
        assert_eq!(serde_json::to_string(&instance).unwrap(), r#"{"id":"a","weight":1,"priority":0}"#);
    }
}
