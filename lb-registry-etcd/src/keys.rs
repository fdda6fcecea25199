//! Where things are in etcd: [`Keys`].
//!
//! ```text
//! {prefix}/instances/{service}/{id}    one instance
//! {prefix}/configs/{service}           the configuration of a service
//! {prefix}/overrides/{service}/{id}    what an operator laid over an instance
//! {prefix}/removed/{service}/{id}      somebody else took an announced instance out; lives as long as its owner's lease
//! ```
//!
//! Configuration is not under `instances/`, because a Go client takes every key there for an endpoint. `/` and `%` in
//! names are percent-encoded, so that keys can be taken apart again; a key whose encoding is not the one that would be
//! written is not read.

use std::borrow::Cow;

/// The prefix that is used unless another is given.
pub(crate) const DEFAULT_PREFIX: &str = "lb";

/// The keys of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    own: String,
    instances: String,
}

/// What a key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Instance { service: Cow<'a, str>, id: Cow<'a, str> },
    Config { service: Cow<'a, str> },
    Override { service: Cow<'a, str>, id: Cow<'a, str> },
    Removed { service: Cow<'a, str>, id: Cow<'a, str> },
}

/// A range of keys that is watched as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Vec<u8>,
}

impl Range {
    fn of(prefix: &str) -> Self {
        let mut end = prefix.as_bytes().to_vec();
        // A prefix ends in `/`, whose successor is `0`.
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        Self { start: prefix.into(), end }
    }
}

impl Keys {
    /// Keys under `prefix`; instances are elsewhere if another project's layout says so.
    pub(crate) fn new(prefix: &str, instances: Option<&str>) -> Self {
        let own = format!("{}/", prefix.trim_end_matches('/'));
        let instances = match instances {
            Some(elsewhere) => format!("{}/", elsewhere.trim_end_matches('/')),
            None => format!("{own}instances/"),
        };
        Self { own, instances }
    }

    /// What has to be watched: one range, or two if the instances are elsewhere.
    pub(crate) fn ranges(&self) -> Vec<Range> {
        let own = Range::of(&self.own);
        if self.instances.starts_with(&self.own) { vec![own] } else { vec![own, Range::of(&self.instances)] }
    }

    pub(crate) fn instance(&self, service: &str, id: &str) -> String {
        format!("{}{}/{}", self.instances, encode(service), encode(id))
    }

    pub(crate) fn config(&self, service: &str) -> String {
        format!("{}configs/{}", self.own, encode(service))
    }

    pub(crate) fn over(&self, service: &str, id: &str) -> String {
        format!("{}overrides/{}/{}", self.own, encode(service), encode(id))
    }

    pub(crate) fn removed(&self, service: &str, id: &str) -> String {
        format!("{}removed/{}/{}", self.own, encode(service), encode(id))
    }

    /// What a key stands for; `None` if it is not one of these.
    pub(crate) fn parse<'a>(&self, key: &'a [u8]) -> Option<Key<'a>> {
        let key = std::str::from_utf8(key).ok()?;
        if let Some(rest) = key.strip_prefix(&self.instances) {
            let (service, id) = pair(rest)?;
            return Some(Key::Instance { service, id });
        }
        let rest = key.strip_prefix(&self.own)?;
        if let Some(rest) = rest.strip_prefix("configs/") {
            Some(Key::Config { service: decode(rest)? })
        } else if let Some(rest) = rest.strip_prefix("overrides/") {
            let (service, id) = pair(rest)?;
            Some(Key::Override { service, id })
        } else {
            let (service, id) = pair(rest.strip_prefix("removed/")?)?;
            Some(Key::Removed { service, id })
        }
    }
}

fn pair(rest: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (service, id) = rest.split_once('/')?;
    Some((decode(service)?, decode(id)?))
}

fn encode(name: &str) -> Cow<'_, str> {
    if name.contains(['/', '%']) {
        Cow::Owned(name.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(name)
    }
}

/// The name that is written like this; `None` if none is.
fn decode(written: &str) -> Option<Cow<'_, str>> {
    if written.is_empty() || written.contains('/') {
        return None;
    }
    if !written.contains('%') {
        return Some(Cow::Borrowed(written));
    }
    let name = written.replace("%2F", "/").replace("%25", "%");
    (encode(&name) == written).then_some(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new("lb/", None)
    }

    #[test]
    fn keys_are_where_the_documentation_says() {
        assert_eq!(keys().instance("cart", "a"), "lb/instances/cart/a");
        assert_eq!(keys().config("a/b"), "lb/configs/a%2Fb");
        assert_eq!(keys().over("cart", "100%"), "lb/overrides/cart/100%25");
        assert_eq!(Keys::new("x", Some("kitex/registry-etcd")).instance("s", "h:1"), "kitex/registry-etcd/s/h:1");
        assert_eq!(Keys::new("/", None).config("s"), "/configs/s");
    }

    #[test]
    fn one_range_unless_instances_are_elsewhere() {
        let own = Range { start: b"lb/".to_vec(), end: b"lb0".to_vec() };
        assert_eq!(keys().ranges(), [own.clone()]);
        assert_eq!(Keys::new("lb", Some("/microservices")).ranges().len(), 2);
    }

    #[test]
    fn keys_that_would_not_be_written_are_not_read() {
        for key in [
            "lb/instances/cart", "lb/instances/cart/", "lb/instances//a", "lb/instances/cart/a/b",
            "lb/instances/cart/%2f", "lb/instances/cart/%", "lb/instances/cart/%zz", "lb/configs/",
            "lb/configs/a/b", "lb/else/cart/a", "lb2/configs/cart", "configs/cart",
        ] {
            assert_eq!(keys().parse(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys().parse(b"lb/configs/\xff"), None);
    }

    proptest! {
        #[test]
        fn a_key_is_taken_apart_into_what_it_was_made_of(service in "[ -~é/%]{1,12}", id in "[ -~é/%]{1,12}") {
            let keys = keys();
            let (s, i) = (Cow::Borrowed(service.as_str()), Cow::Borrowed(id.as_str()));
            let parsed = |key: String, expected: &Key<'_>| assert_eq!(keys.parse(key.as_bytes()).as_ref(), Some(expected));
            parsed(keys.instance(&service, &id), &Key::Instance { service: s.clone(), id: i.clone() });
            parsed(keys.config(&service), &Key::Config { service: s.clone() });
            parsed(keys.over(&service, &id), &Key::Override { service: s.clone(), id: i.clone() });
            parsed(keys.removed(&service, &id), &Key::Removed { service: s, id: i });
        }
    }
}
