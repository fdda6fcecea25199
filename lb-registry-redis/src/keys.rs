//! The names of what lies in Redis: [`Namespace`] and [`ServiceKeys`].
//!
//! All keys of a service have the same hash tag, so that a script that touches several of them runs in a Cluster, too.
//! The index of services is a key of its own, in a slot of its own.

use std::sync::Arc;

/// What every key of ours begins with: the rest up to the brace is its hash tag.
const BEGIN: &str = "lb:{";

/// Whether it is the name of a key of ours.
pub(crate) fn is_key(name: &[u8]) -> bool {
    name.starts_with(BEGIN.as_bytes())
}

/// What all keys of a registry begin with.
#[derive(Clone, Debug)]
pub(crate) struct Namespace {
    name: Arc<str>,
}

impl Namespace {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: encode(name).into() }
    }

    /// The sorted set of the names of services: name → when it was last written to (µs).
    pub(crate) fn services(&self) -> String {
        format!("{BEGIN}{}}}:services", self.name)
    }

    pub(crate) fn service(&self, service: &str) -> ServiceKeys {
        let tag = format!("{BEGIN}{}/{}}}", self.name, encode(service));
        ServiceKeys { tag: tag.into() }
    }

    /// The hash tag of a quota that processes share.
    pub(crate) fn quota(&self, key: &str) -> QuotaKeys {
        QuotaKeys { tag: format!("{BEGIN}{}/{}}}", self.name, encode(key)).into() }
    }
}

/// The keys of one service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServiceKeys {
    tag: Arc<str>,
}

impl ServiceKeys {
    /// Hash: id → `revision owner.version value`.
    pub(crate) fn instances(&self) -> String {
        format!("{}:i", self.tag)
    }
    /// Sorted set of announced instances: id → when it expires, in ms of the server's clock.
    pub(crate) fn expiries(&self) -> String {
        format!("{}:x", self.tag)
    }
    /// Hash: id → what an operator laid over it, as JSON.
    pub(crate) fn overrides(&self) -> String {
        format!("{}:o", self.tag)
    }
    /// The version: the number of the last write.
    pub(crate) fn version(&self) -> String {
        format!("{}:v", self.tag)
    }
    /// A random value that is made with the data and lost with it.
    pub(crate) fn epoch(&self) -> String {
        format!("{}:e", self.tag)
    }
    /// The configuration: `revision value`.
    pub(crate) fn config(&self) -> String {
        format!("{}:c", self.tag)
    }
    /// Sorted set of what was deregistered lately: `owner id` → version of the removal.
    pub(crate) fn removed(&self) -> String {
        format!("{}:r", self.tag)
    }
    /// Sorted set of overrides whose instance has expired: id → when to forget it, in ms.
    pub(crate) fn parked(&self) -> String {
        format!("{}:p", self.tag)
    }
    /// When the last heartbeat was, and until when nobody is reaped, in ms.
    pub(crate) fn beats(&self) -> String {
        format!("{}:b", self.tag)
    }
    /// The channel on which changes are told.
    pub(crate) fn channel(&self) -> String {
        format!("{}:ch", self.tag)
    }

    /// The keys that scripts take, in their order.
    pub(crate) fn for_scripts(&self) -> [String; 9] {
        [
            self.instances(),
            self.expiries(),
            self.overrides(),
            self.version(),
            self.epoch(),
            self.config(),
            self.removed(),
            self.parked(),
            self.beats(),
        ]
    }
}

/// The keys of one quota that processes share.
#[derive(Clone, Debug)]
pub(crate) struct QuotaKeys {
    tag: Arc<str>,
}

impl QuotaKeys {
    /// Hash: what is left of each dimension, and when that was counted.
    pub(crate) fn level(&self) -> String {
        format!("{}:q", self.tag)
    }
    /// Sorted set of who shares it: process → when it was last heard of, in ms.
    pub(crate) fn sharers(&self) -> String {
        format!("{}:qs", self.tag)
    }
    /// Until when it rests, in ms.
    pub(crate) fn rest(&self) -> String {
        format!("{}:qr", self.tag)
    }
    /// The channel on which rests are told.
    pub(crate) fn channel(&self) -> String {
        format!("{}:qch", self.tag)
    }
}

/// Keeps names apart from what keys are made of: braces (hash tags), colons, slashes, and what patterns are made of.
fn encode(name: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(name.len());
    for c in name.chars() {
        if matches!(c, '%' | '{' | '}' | ':' | '/' | '*' | '?' | '[' | ']' | '\\' | '^') || c.is_whitespace()
        {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        } else {
            encoded.push(c);
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_stay_apart_and_in_one_slot() {
        let namespace = Namespace::new("a:b{c}");
        let names = ["", "a", "a/b", "a%2Fb", "a}b", "{a}", "a b", "*", "日本"];
        let tags: std::collections::HashSet<_> = names.iter().map(|n| namespace.service(n).tag).collect();
        assert_eq!(tags.len(), names.len());
        for tag in tags {
            assert_eq!((tag.matches('{').count(), tag.matches('}').count()), (1, 1), "{tag}");
        }
        assert_eq!(Namespace::new("prod").service("cart/v2").instances(), "lb:{prod/cart%2Fv2}:i");
        assert_eq!(Namespace::new("prod").services(), "lb:{prod}:services");
    }
}
