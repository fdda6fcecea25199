//! This library's own format, which is also gRPC-Go's: [`NativeCodec`].

use std::borrow::Cow;

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Codec, CodecError, JsonCodec, Record, RecordJson};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::foreign::Foreign;

/// The format that etcd's own package for gRPC-Go writes and reads (`client/v3/naming/endpoints`), with the whole
/// instance beside it:
///
/// ```json
/// {"lb":1,"gen":"00c0ffee00c0ffee.1","state":"ready","weight":2,"instance":{"id":"cart-1"},"Op":0,"Addr":"10.0.0.1:8080","Metadata":null}
/// ```
///
/// So a Go client finds our instances under the target `etcd:///{prefix}/instances/{service}`, and we find what it
/// registers there. It looks at `Addr` only: weights, and that an instance drains, it does not see. An instance
/// without an address is no endpoint to it.
///
/// Not in `Metadata`, which gRPC-Go copies into its addresses: its `round_robin` uses those as keys of a map, and ends the
/// program with "hash of unhashable type" where one holds an object.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeCodec;

/// Ours first, so that it is found without reading the rest.
#[derive(Serialize)]
#[serde(bound(serialize = "I: Serialize"))]
struct Written<'a, I> {
    #[serde(flatten)]
    record: RecordJson<I>,
    #[serde(rename = "Op")]
    op: u8,
    #[serde(rename = "Addr")]
    addr: &'a str,
    #[serde(rename = "Metadata")]
    metadata: (),
}

#[derive(Deserialize)]
struct Found<'a> {
    #[serde(default)]
    lb: Option<u32>,
    /// 0 puts an endpoint there; a value that deletes one is never written.
    #[serde(rename = "Op", default)]
    op: u8,
    #[serde(rename = "Addr", default, borrow)]
    addr: Cow<'a, str>,
    #[serde(rename = "Metadata", default, borrow)]
    metadata: Option<&'a RawValue>,
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> Codec<I> for NativeCodec {
    fn encode(&self, _service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError> {
        let addr = record.instance.address().unwrap_or_default();
        serde_json::to_vec(&Written { record: RecordJson::new(record), op: 0, addr, metadata: () })
            .map_err(|error| CodecError::Unwritable(error.to_string()))
    }

    fn decode(&self, service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError> {
        if bytes.starts_with(b"{\"lb\":") {
            return JsonCodec.decode(service, id, bytes);
        }
        let found: Found<'_> = serde_json::from_slice(bytes).map_err(|error| CodecError::json(&error))?;
        if found.op != 0 {
            return Err(CodecError::malformed("grpc-go", "it does not add an endpoint"));
        }
        // By hand, in another order.
        if found.lb.is_some() {
            return JsonCodec.decode(service, id, bytes);
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
