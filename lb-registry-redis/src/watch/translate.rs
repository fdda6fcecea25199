//! From what lies in Redis to what the catalog takes: [`Translator`].

use std::collections::HashSet;
use std::sync::Arc;

use lb_core::ServiceInstance;
use lb_core::registry::Override;
use lb_core::registry::shared::{Change, Codec, CodecError, Key, Listing, decode_config, decode_override};

use super::message::{Change as Told, Message};
use super::reading::Reading;
use super::record::Stored;

/// Reads values. Pure; one that cannot be read becomes a change that says so.
pub(crate) struct Translator<I> {
    pub(crate) codec: Arc<dyn Codec<I>>,
}

impl<I> Clone for Translator<I> {
    fn clone(&self) -> Self {
        Self { codec: Arc::clone(&self.codec) }
    }
}

const NOT_STORED: CodecError = CodecError::malformed("redis", "it does not begin with a revision");

impl<I: ServiceInstance> Translator<I> {
    fn instance(&self, service: &Arc<str>, version: u64, id: &str, bytes: &[u8]) -> Change<I> {
        let unreadable = |revision, error| {
            Change::unreadable(Arc::clone(service), revision, Key::Instance(id.into()), error)
        };
        let Some(stored) = Stored::instance(bytes) else { return unreadable(version, NOT_STORED) };
        match self.codec.decode(service, id, stored.value) {
            Ok(record) => Change::instance(Arc::clone(service), stored.revision, record),
            Err(error) => unreadable(stored.revision, error),
        }
    }

    fn over(service: &Arc<str>, version: u64, id: &str, bytes: &[u8]) -> Change<I> {
        if bytes.is_empty() {
            return Change::over(Arc::clone(service), version, id, Override::NONE);
        }
        match decode_override(bytes) {
            Ok(over) => Change::over(Arc::clone(service), version, id, over),
            Err(error) => Change::unreadable(Arc::clone(service), version, Key::Override(id.into()), error),
        }
    }

    fn config(service: &Arc<str>, version: u64, bytes: &[u8]) -> Change<I> {
        let unreadable =
            |revision, error| Change::unreadable(Arc::clone(service), revision, Key::Config, error);
        let Some(stored) = Stored::config(bytes) else { return unreadable(version, NOT_STORED) };
        match decode_config(stored.value) {
            Ok(config) => Change::config(Arc::clone(service), stored.revision, Some(config)),
            Err(error) => unreadable(stored.revision, error),
        }
    }

    /// The changes that a message tells of, all at its version.
    pub(crate) fn message(&self, service: &Arc<str>, message: &Message) -> Vec<Change<I>> {
        let version = message.next;
        let name = || Arc::clone(service);
        // A record has the revision of its last write, which restoring it does not change; the catalog wants changes in
        // order.
        let at_version = |mut change: Change<I>| {
            change.revision = version;
            change
        };
        match &message.change {
            Told::Put { id, over, record } => vec![
                Self::over(service, version, id, over),
                at_version(self.instance(service, version, id, record)),
            ],
            Told::Removed { id } => vec![
                Change::removed(name(), version, id.as_str()),
                Change::over(name(), version, id.as_str(), Override::NONE),
            ],
            Told::Left { id } => vec![Change::removed(name(), version, id.as_str())],
            Told::Expired { id } => vec![Change::vanished(name(), version, id.as_str())],
            Told::Over { id, over } => vec![Self::over(service, version, id, over)],
            Told::Config { record } => vec![at_version(Self::config(service, version, record))],
            Told::Unconfig => vec![Change::config(name(), version, None)],
        }
    }

    /// A whole service, and before it what was taken out on purpose after the version `known`. Ids are UTF-8; who wrote
    /// others did not use this library.
    pub(crate) fn reading(
        &self,
        service: &Arc<str>,
        reading: &Reading,
        known: u64,
    ) -> (Vec<Change<I>>, Listing<I>) {
        let text = |bytes: &[u8]| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let expired: HashSet<&[u8]> = reading.expired.iter().map(|(id, _)| &**id).collect();
        let mut items = Vec::with_capacity(reading.instances.len() + reading.overrides.len() + 1);
        for (id, bytes) in &reading.instances {
            if let Some(id) = text(id).filter(|id| !expired.contains(id.as_bytes())) {
                items.push(self.instance(service, reading.version, &id, bytes));
            }
        }
        for (id, bytes) in &reading.overrides {
            if let Some(id) = text(id) {
                items.push(Self::over(service, reading.version, &id, bytes));
            }
        }
        items.extend(reading.config.iter().map(|bytes| Self::config(service, reading.version, bytes)));

        let there = |id: &[u8]| reading.instances.binary_search_by(|(at, _)| (**at).cmp(id)).is_ok();
        let mut removed: Vec<_> = reading
            .removed
            .iter()
            .filter(|(id, at)| *at > known && *at <= reading.version && !there(id))
            .filter_map(|(id, at)| Some(Change::removed(Arc::clone(service), *at, text(id)?)))
            .collect();
        removed.sort_by_key(|change| change.revision);
        (removed, Listing::new(reading.version, items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lb_core::Instance;
    use lb_core::registry::shared::{ChangeKind, JsonCodec};

    fn translator() -> Translator<Instance> {
        Translator { codec: Arc::new(JsonCodec) }
    }

    const GOOD: &str =
        r#"7 00c0ffee00c0ffee.1 {"lb":1,"gen":"00c0ffee00c0ffee.1","state":"ready","instance":{"id":"a"}}"#;

    #[test]
    fn what_cannot_be_read_says_so_and_the_rest_is_read() {
        let pair = |id: &str, value: &str| (id.as_bytes().to_vec(), value.as_bytes().to_vec());
        let reading = Reading {
            version: 9,
            instances: vec![pair("a", GOOD), pair("b", "garbage"), pair("c", "8 x {}"), pair("d", GOOD)],
            overrides: vec![pair("a", r#"{"weight":3}"#), pair("b", "[")],
            config: Some(b"5 {\"max_retries\":-1}".to_vec()),
            ..Reading::default()
        };
        let (_, listing) = translator().reading(&"s".into(), &reading, 0);
        let bad = listing.items.iter().filter(|c| matches!(c.kind, ChangeKind::Unreadable { .. })).count();
        assert_eq!((listing.items.len(), bad), (7, 5));
    }

    #[test]
    fn removals_since_are_told_before_the_listing() {
        let removed = vec![(b"a".to_vec(), 5), (b"b".to_vec(), 8), (b"c".to_vec(), 7), (b"d".to_vec(), 99)];
        let instances = vec![(b"c".to_vec(), GOOD.as_bytes().to_vec())];
        let reading = Reading { version: 9, removed, instances, ..Reading::default() };
        let (removed, _) = translator().reading(&"s".into(), &reading, 6);
        let ids: Vec<_> = removed.iter().map(|change| format!("{:?}", change.kind)).collect();
        assert_eq!(ids.len(), 1, "a is known, c is there again, d is not of this history: {ids:?}");
        assert_eq!(removed[0].revision, 8);
    }

    #[test]
    fn an_expired_instance_that_nobody_reaped_is_left_out() {
        let instances = vec![(b"a".to_vec(), GOOD.as_bytes().to_vec())];
        let reading =
            Reading { version: 9, instances, expired: vec![(b"a".to_vec(), 1)], ..Reading::default() };
        assert_eq!(translator().reading(&"s".into(), &reading, 0).1.items.len(), 0);
    }
}
