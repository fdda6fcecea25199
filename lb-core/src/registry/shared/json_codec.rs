//! The format that registries use by default: [`JsonCodec`]; and that of configurations and overrides.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::codec::{Codec, CodecError};
use super::record::{Generation, Record};
use crate::config::ServiceConfig;
use crate::instance::ServiceInstance;
use crate::registry::entry::{InstanceState, Override};

/// The version that is written, and the latest that can be read.
const VERSION: u32 = 1;

/// An instance as JSON: `{"lb":1,"gen":"…","state":"ready","weight":2,"instance":{…}}`.
///
/// `lb` is the version of the format; fields that are not known are passed over, so that a later version can add some.
/// `weight` repeats the instance's own, for readers that do not know its type.
///
/// ```
/// use lb_core::registry::shared::{Codec, Generation, JsonCodec, Record};
/// use lb_core::{Instance, ThreadRandom};
///
/// let record = Record::new(Instance::new("cart-1").with_weight(2), Generation::new(&ThreadRandom));
/// let bytes = JsonCodec.encode("cart", &record)?;
/// let read: Record<Instance> = JsonCodec.decode("cart", "cart-1", &bytes)?;
/// assert_eq!((read.instance, read.generation), (record.instance, record.generation));
/// # Ok::<(), lb_core::registry::shared::CodecError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonCodec;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Starting,
    #[default]
    Ready,
    Draining,
}

impl From<InstanceState> for State {
    fn from(state: InstanceState) -> Self {
        match state {
            InstanceState::Starting => Self::Starting,
            InstanceState::Ready | InstanceState::Suspect => Self::Ready,
            InstanceState::Draining => Self::Draining,
        }
    }
}

impl From<State> for InstanceState {
    fn from(state: State) -> Self {
        match state {
            State::Starting => Self::Starting,
            State::Ready => Self::Ready,
            State::Draining => Self::Draining,
        }
    }
}

/// The JSON form of a [`Record`], for codecs that put it into a frame of their own. Serialisable if the instance is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(serialize = "I: Serialize", deserialize = "I: DeserializeOwned"))]
pub struct RecordJson<I> {
    lb: u32,
    #[serde(rename = "gen", default, skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(default)]
    state: State,
    #[serde(default)]
    weight: u32,
    instance: Arc<I>,
}

impl<I: ServiceInstance> RecordJson<I> {
    /// The JSON form of a record.
    pub fn new(record: &Record<I>) -> Self {
        Self {
            lb: VERSION,
            generation: record.generation,
            state: record.state.into(),
            weight: record.instance.weight(),
            instance: Arc::clone(&record.instance),
        }
    }

    /// The record; an error if it is not one of `id`.
    pub fn into_record(self, id: &str) -> Result<Record<I>, CodecError> {
        if self.instance.id() != id {
            return Err(CodecError::WrongId);
        }
        Ok(Record { instance: self.instance, state: self.state.into(), generation: self.generation })
    }
}

/// Reads the version first: what else is in a value of a newer version may be anything.
#[derive(Deserialize)]
struct Version {
    lb: u32,
}

impl<I: ServiceInstance + Serialize + DeserializeOwned> Codec<I> for JsonCodec {
    fn encode(&self, _service: &str, record: &Record<I>) -> Result<Vec<u8>, CodecError> {
        to_json(&RecordJson::new(record))
    }

    fn decode(&self, _service: &str, id: &str, bytes: &[u8]) -> Result<Record<I>, CodecError> {
        let json: Result<RecordJson<I>, _> = serde_json::from_slice(bytes);
        match json {
            Ok(json) if json.lb <= VERSION => json.into_record(id),
            result => {
                if let Ok(Version { lb }) = serde_json::from_slice(bytes)
                    && lb > VERSION
                {
                    return Err(CodecError::Version { found: lb, known: VERSION });
                }
                Err(result
                    .err()
                    .map_or(CodecError::malformed("json", "it has no version"), |e| CodecError::json(&e)))
            }
        }
    }

    fn name(&self) -> &'static str {
        "json"
    }
}

/// The JSON of a value; an error that a `Serialize` returns is passed on, because it says what to do.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>, CodecError> {
    serde_json::to_vec(value).map_err(|error| CodecError::Unwritable(error.to_string()))
}

/// A configuration as it is written to a shared store: the same JSON that users write.
///
/// ```
/// use lb_core::ServiceConfig;
/// use lb_core::registry::shared::{decode_config, encode_config};
///
/// let config = ServiceConfig::builder().max_retries(3).build()?;
/// assert_eq!(decode_config(&encode_config(&config)?)?, config);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn encode_config(config: &ServiceConfig) -> Result<Vec<u8>, CodecError> {
    to_json(config)
}

/// The configuration that the bytes stand for. Fields of a newer version are kept. See [`encode_config`].
pub fn decode_config(bytes: &[u8]) -> Result<ServiceConfig, CodecError> {
    serde_json::from_slice(bytes).map_err(|error| CodecError::json(&error))
}

/// An override as it is written to a shared store: `{"weight":3,"draining":false}`.
///
/// ```
/// use lb_core::registry::Override;
/// use lb_core::registry::shared::{decode_override, encode_override};
///
/// assert_eq!(decode_override(&encode_override(&Override::weight(3))?)?, Override::weight(3));
/// # Ok::<(), lb_core::registry::shared::CodecError>(())
/// ```
pub fn encode_override(over: &Override) -> Result<Vec<u8>, CodecError> {
    to_json(over)
}

/// The override that the bytes stand for. See [`encode_override`].
pub fn decode_override(bytes: &[u8]) -> Result<Override, CodecError> {
    serde_json::from_slice(bytes).map_err(|error| CodecError::json(&error))
}
