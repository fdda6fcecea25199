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
//!
//! Where another project has the instances at `{elsewhere}/{service}/{id}`, all others are under `{elsewhere}/.lb/`: there
//! is one range to follow in any case, and so one order in which things happened.

use std::borrow::Cow;

/// The prefix that is used unless another is given.
pub(crate) const DEFAULT_PREFIX: &str = "lb";

/// What is not an instance, where instances are as another project has them.
const RESERVED: &str = ".lb";

/// The keys of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Of everything.
    root: String,
    instances: String,
    own: String,
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
    /// Keys in this library's layout, under `prefix`.
    pub(crate) fn new(prefix: &str) -> Self {
        let root = format!("{}/", prefix.trim_end_matches('/'));
        Self { instances: format!("{root}instances/"), own: root.clone(), root }
    }

    /// Keys where another project has the instances of all services right under `prefix`.
    pub(crate) fn elsewhere(prefix: &str) -> Self {
        let root = format!("{}/", prefix.trim_end_matches('/'));
        Self { instances: root.clone(), own: format!("{root}{RESERVED}/"), root }
    }

    /// What all of them begin with.
    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// What has to be followed.
    pub(crate) fn range(&self) -> Range {
        Range::of(&self.root)
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
        // One of the two lies within the other.
        let (own, instances) = (key.strip_prefix(&self.own), key.strip_prefix(&self.instances));
        if let Some(rest) = own {
            if let Some(rest) = rest.strip_prefix("configs/") {
                return Some(Key::Config { service: decode(rest)? });
            }
            if let Some(rest) = rest.strip_prefix("overrides/") {
                let (service, id) = pair(rest)?;
                return Some(Key::Override { service, id });
            }
            if let Some(rest) = rest.strip_prefix("removed/") {
                let (service, id) = pair(rest)?;
                return Some(Key::Removed { service, id });
            }
        }
        let (service, id) = pair(instances?)?;
        Some(Key::Instance { service, id })
    }
}

fn pair(rest: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let (service, id) = rest.split_once('/')?;
    Some((decode(service)?, decode(id)?))
}

fn encode(name: &str) -> Cow<'_, str> {
    if name == RESERVED {
        Cow::Borrowed("%2Elb")
    } else if name.contains(['/', '%']) {
        Cow::Owned(name.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(name)
    }
}

/// The name that is written like this; `None` if none is.
fn decode(written: &str) -> Option<Cow<'_, str>> {
    if written.is_empty() || written.contains('/') || written == RESERVED {
        return None;
    }
    if !written.contains('%') {
        return Some(Cow::Borrowed(written));
    }
    let name = if written == "%2Elb" {
        RESERVED.to_owned()
    } else {
        written.replace("%2F", "/").replace("%25", "%")
    };
    (encode(&name) == written).then_some(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys() -> Keys {
        Keys::new("lb/")
    }

    #[test]
    fn keys_are_where_the_documentation_says() {
        assert_eq!(keys().instance("cart", "a"), "lb/instances/cart/a");
        assert_eq!(keys().config("a/b"), "lb/configs/a%2Fb");
        assert_eq!(keys().over("cart", "100%"), "lb/overrides/cart/100%25");
        let kitex = Keys::elsewhere("kitex/registry-etcd");
        assert_eq!(kitex.instance("s", "h:1"), "kitex/registry-etcd/s/h:1");
        assert_eq!(kitex.over("s", "h:1"), "kitex/registry-etcd/.lb/overrides/s/h:1");
        assert_eq!(Keys::new("/").config("s"), "/configs/s");
    }

    #[test]
    fn one_range_has_them_all() {
        assert_eq!(keys().range(), Range { start: b"lb/".to_vec(), end: b"lb0".to_vec() });
        let range = Keys::elsewhere("/microservices/").range();
        assert_eq!(range, Range { start: b"/microservices/".to_vec(), end: b"/microservices0".to_vec() });
    }

    #[test]
    fn keys_that_would_not_be_written_are_not_read() {
        for key in [
            "lb/instances/cart",
            "lb/instances/cart/",
            "lb/instances//a",
            "lb/instances/cart/a/b",
            "lb/instances/cart/%2f",
            "lb/instances/cart/%",
            "lb/instances/cart/%zz",
            "lb/configs/",
            "lb/configs/a/b",
            "lb/else/cart/a",
            "lb2/configs/cart",
            "configs/cart",
        ] {
            assert_eq!(keys().parse(key.as_bytes()), None, "{key}");
        }
        assert_eq!(keys().parse(b"lb/configs/\xff"), None);
    }

    fn check(service: &str, id: &str) {
        for keys in [keys(), Keys::elsewhere("k")] {
            let (s, i) = (Cow::Borrowed(service), Cow::Borrowed(id));
            let parsed = |key: String, expected: &Key<'_>| {
                assert_eq!(keys.parse(key.as_bytes()).as_ref(), Some(expected), "{key}");
            };
            parsed(keys.instance(service, id), &Key::Instance { service: s.clone(), id: i.clone() });
            parsed(keys.config(service), &Key::Config { service: s.clone() });
            parsed(keys.over(service, id), &Key::Override { service: s.clone(), id: i.clone() });
            parsed(keys.removed(service, id), &Key::Removed { service: s, id: i });
        }
    }

    #[test]
    fn names_that_look_like_parts_of_keys_are_kept_apart() {
        for name in [".lb", "%2Elb", "configs", "instances", "overrides", "removed", ".", "..", "%", "/"] {
            check(name, ".lb");
            check(".lb", name);
        }
    }

    proptest! {
        #[test]
        fn a_key_is_taken_apart_into_what_it_was_made_of(service in "[ -~é/%]{1,12}", id in "[ -~é/%]{1,12}") {
            check(&service, &id);
        }
    }
}
