//! What the formats of other projects have in common.

use std::collections::BTreeMap;

use lb_core::ServiceInstance;
use lb_core::registry::shared::{Codec, CodecError, JsonCodec, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The label under which our whole record stands, in formats that have labels.
pub(super) const LABEL: &str = "lb";

pub(super) type Labels = BTreeMap<String, String>;

/// An instance as other projects see it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Foreign<'a> {
    pub(super) id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) weight: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) zone: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) metadata: Labels,
}

impl Foreign<'_> {
    /// The instance: ours, if the labels have it, else one made of what is known.
    pub(super) fn into_record<I>(mut self, service: &str) -> Result<Record<I>, CodecError>
    where
        I: ServiceInstance + Serialize + DeserializeOwned,
    {
        if let Some(ours) = self.metadata.remove(LABEL) {
            return JsonCodec.decode(service, self.id, ours.as_bytes());
        }
        let json = serde_json::to_value(&self).map_err(|error| CodecError::Unwritable(error.to_string()))?;
        let instance: I = serde_json::from_value(json).map_err(|error| CodecError::json(&error))?;
        if instance.id() != self.id {
            return Err(CodecError::wrong_id());
        }
        Ok(Record::foreign(instance))
    }
}

/// The labels of a record: the instance's own `metadata`, if it has such a field, and the whole record.
pub(super) fn labels<I>(service: &str, record: &Record<I>) -> Result<Labels, CodecError>
where
    I: ServiceInstance + Serialize + DeserializeOwned,
{
    let unwritable = |error: &dyn std::fmt::Display| CodecError::Unwritable(error.to_string());
    let whole = JsonCodec.encode(service, record)?;
    let whole = String::from_utf8(whole).map_err(|error| unwritable(&error))?;
    let value = serde_json::to_value(&*record.instance).map_err(|error| unwritable(&error))?;
    let mut labels: Labels = value
        .get("metadata")
        .and_then(serde_json::Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect();
    if let Some(zone) = record.instance.zone() {
        labels.entry("zone".into()).or_insert_with(|| zone.into());
    }
    labels.insert(LABEL.into(), whole);
    Ok(labels)
}

/// The address, which these formats cannot do without.
pub(super) fn address<I: ServiceInstance>(record: &Record<I>) -> Result<&str, CodecError> {
    record.instance.address().ok_or_else(|| {
        CodecError::Unwritable("the format needs an address, and the instance has none".into())
    })
}
