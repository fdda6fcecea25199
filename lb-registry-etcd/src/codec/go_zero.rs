//! The format of go-zero: [`GoZeroCodec`].

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Codec, CodecError, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::foreign::{Foreign, address};

/// The format of go-zero (`core/discov`): `{key}/{id}` = `host:port`, where the id is that of the lease unless another
/// was given.
///
/// go-zero has no common place for its services. Give them one (`Key: services/user.rpc`), and say so with
/// `instances_under("services")`. A value has room for the address and nothing else: an instance keeps neither its
/// weight nor its labels, and cannot say that it drains.
#[derive(Clone, Copy, Debug, Default)]
pub struct GoZeroCodec;

impl<I: ServiceInstance + Serialize + DeserializeOwned> Codec<I> for GoZeroCodec {
    fn encode(&self, _service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError> {
        Ok(address(record)?.into())
    }

    fn decode(&self, service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError> {
        let address = std::str::from_utf8(bytes)
            .map_err(|_| CodecError::malformed("go-zero", "it is not UTF-8"))?
            .trim();
        let plain = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '{' | '"');
        if address.is_empty() || !address.chars().all(plain) {
            return Err(CodecError::malformed("go-zero", "it is not an address"));
        }
        Foreign { id, address: Some(address), ..Foreign::default() }.into_record(service)
    }

    fn name(&self) -> &'static str {
        "go-zero"
    }
}
