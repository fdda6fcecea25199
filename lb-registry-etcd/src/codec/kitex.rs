//! The format of Kitex: [`KitexCodec`].

use lb_core::ServiceInstance;
use lb_core::registry::InstanceState;
use lb_core::registry::shared::{Codec, CodecError, Record};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::foreign::{Foreign, Labels, address, labels};

/// What Kitex takes for the weight of an instance that says nothing.
const DEFAULT_WEIGHT: u32 = 10;

/// The format of Kitex (`kitex-contrib/registry-etcd`): `kitex/registry-etcd/{service}/{address}` =
/// `{"network":"tcp","address":"10.0.0.1:8080","weight":10,"tags":{}}`.
///
/// Our own instances carry the whole of themselves in the tag `lb`. Kitex takes a weight of 0 for 10, so one that
/// drains has the weight 1 there; only its removal takes it out.
///
/// ```no_run
/// use lb_core::Instance;
/// use lb_registry_etcd::{EtcdRegistry, KitexCodec};
///
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = EtcdRegistry::<Instance>::builder(["http://127.0.0.1:2379"])
///     .codec(KitexCodec)
///     .instances_under(KitexCodec::PREFIX)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct KitexCodec;

impl KitexCodec {
    /// Where Kitex puts instances, unless it is told otherwise.
    pub const PREFIX: &'static str = "kitex/registry-etcd";
}

#[derive(Serialize, Deserialize)]
struct Value {
    #[serde(default)]
    network: String,
    address: String,
    #[serde(default)]
    weight: i64,
    #[serde(default)]
    tags: Option<Labels>,
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> Codec<I> for KitexCodec {
    fn encode(&self, service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError> {
        let draining = record.state == InstanceState::Draining;
        let weight = if draining { 1 } else { i64::from(record.instance.weight().max(1)) };
        let value = Value {
            network: "tcp".into(),
            address: address(record)?.into(),
            weight,
            tags: Some(labels(service, record)?),
        };
        serde_json::to_vec(&value).map_err(|error| CodecError::Unwritable(error.to_string()))
    }

    fn decode(&self, service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| CodecError::json(&error))?;
        let weight = u32::try_from(value.weight).unwrap_or(0);
        let weight = if weight == 0 { DEFAULT_WEIGHT } else { weight };
        let metadata = value.tags.unwrap_or_default();
        Foreign { id, address: Some(&value.address), weight: Some(weight), metadata, ..Foreign::default() }
            .into_record(service)
    }

    fn name(&self) -> &'static str {
        "kitex"
    }
}
