//! The format of kratos: [`KratosCodec`].

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Codec, CodecError, Record};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::foreign::{Foreign, Labels, address, labels};

/// The format of kratos (`contrib/registry/etcd`): `/microservices/{service}/{id}` =
/// `{"id":"a","name":"cart","version":"v1","metadata":{"weight":"3"},"endpoints":["grpc://10.0.0.1:9000?isSecure=false"]}`.
///
/// The address of an instance that kratos wrote is its first endpoint, without scheme and query; the weight is the
/// label `weight`, as kratos has it. Our own instances carry the whole of themselves in the label `lb`; their address is
/// the endpoint, as it is if it has a scheme, else as `grpc://`.
///
/// A version of kratos that finds one value that it cannot read takes none of the service; this one writes values that
/// it can.
#[derive(Clone, Copy, Debug, Default)]
pub struct KratosCodec;

impl KratosCodec {
    /// Where kratos puts instances, unless it is told otherwise.
    pub const PREFIX: &'static str = "/microservices";
}

#[derive(Serialize, Deserialize)]
struct Value {
    id: String,
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    metadata: Option<Labels>,
    #[serde(default)]
    endpoints: Option<Vec<String>>,
}

/// `host:port` of `scheme://host:port?query`.
fn host(endpoint: &str) -> &str {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    rest.split(['?', '/']).next().unwrap_or(rest)
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> Codec<I> for KratosCodec {
    fn encode(&self, service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError> {
        let address = address(record)?;
        let endpoint =
            if address.contains("://") { address.into() } else { format!("grpc://{address}?isSecure=false") };
        let mut metadata = labels(service, record)?;
        metadata.entry("weight".into()).or_insert_with(|| record.instance.weight().to_string());
        let value = Value {
            id: record.instance.id().into(),
            name: service.into(),
            version: metadata.get("version").cloned().unwrap_or_default(),
            metadata: Some(metadata),
            endpoints: Some(vec![endpoint]),
        };
        serde_json::to_vec(&value).map_err(|error| CodecError::Unwritable(error.to_string()))
    }

    fn decode(&self, service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| CodecError::json(&error))?;
        if value.id != id {
            return Err(CodecError::wrong_id());
        }
        let mut metadata = value.metadata.unwrap_or_default();
        let weight = metadata.get("weight").and_then(|weight| weight.parse().ok());
        let endpoints = value.endpoints.unwrap_or_default();
        let address = endpoints.first().map(|endpoint| host(endpoint));
        if !value.version.is_empty() {
            metadata.entry("version".into()).or_insert(value.version);
        }
        Foreign { id, address, weight, metadata, ..Foreign::default() }.into_record(service)
    }

    fn name(&self) -> &'static str {
        "kratos"
    }
}
