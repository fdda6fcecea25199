//! This library's own format, which is also gRPC-Go's: [`NativeCodec`].

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Codec, CodecError, JsonCodec, Record, RecordJson};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::foreign::Foreign;

/// The format that etcd's own package for gRPC-Go writes and reads (`client/v3/naming/endpoints`), with the whole
/// instance in its `Metadata`:
///
/// ```json
/// {"Op":0,"Addr":"10.0.0.1:8080","Metadata":{"lb":1,"gen":"00c0ffee00c0ffee.1","state":"ready","weight":2,"instance":{"id":"cart-1"}}}
/// ```
///
/// So a Go client finds our instances under the target `etcd:///{prefix}/instances/{service}`, and we find what it
/// registers there. It looks at `Addr` only: weights, and that an instance drains, it does not see. An instance
/// without an address is no endpoint to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeCodec;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written<'a, T> {
    op: u8,
    addr: &'a str,
    metadata: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found<'a> {
    /// 0 puts an endpoint there; a value that deletes one is never written.
    #[serde(default)]
    op: u8,
    #[serde(default)]
    addr: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    metadata: Option<&'a RawValue>,
}

/// What other projects put there is looked at only for this field.
#[derive(Deserialize)]
struct Ours {
    #[serde(default)]
    lb: Option<u32>,
}

/// Whether it is a record of this library. What is written here begins with the field that says so; who writes by hand
/// may have another order.
fn is_ours(metadata: &str) -> bool {
    metadata.starts_with("{\"lb\":") || matches!(serde_json::from_str(metadata), Ok(Ours { lb: Some(_) }))
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> Codec<I> for NativeCodec {
    fn encode(&self, _service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError> {
        let addr = record.instance.address().unwrap_or_default();
        serde_json::to_vec(&Written { op: 0, addr, metadata: RecordJson::new(record) })
            .map_err(|error| CodecError::Unwritable(error.to_string()))
    }

    fn decode(&self, service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError> {
        let found: Found<'_> = serde_json::from_slice(bytes).map_err(|error| CodecError::json(&error))?;
        if found.op != 0 {
            return Err(CodecError::malformed("grpc-go", "it does not add an endpoint"));
        }
        if let Some(metadata) = found.metadata
            && is_ours(metadata.get())
        {
            return JsonCodec.decode(service, id, metadata.get().as_bytes());
        }
        if found.addr.is_empty() {
            return Err(CodecError::malformed("grpc-go", "it has no address"));
        }
        let labels = found.metadata.and_then(|metadata| serde_json::from_str(metadata.get()).ok());
        Foreign { id, address: Some(&found.addr), metadata: labels.unwrap_or_default(), ..Foreign::default() }
            .into_record(service)
    }

    fn name(&self) -> &'static str {
        "grpc-go"
    }
}
