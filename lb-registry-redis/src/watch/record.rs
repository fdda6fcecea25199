//! How instances and configurations lie in Redis.

use lb_core::registry::shared::Generation;

/// A stored instance: `revision owner.version value`. The revision is Redis's, the value the codec's; the generation
/// between them is what scripts go by.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stored<'a> {
    pub(crate) revision: u64,
    pub(crate) value: &'a [u8],
}

impl<'a> Stored<'a> {
    /// Reads an instance.
    pub(crate) fn instance(bytes: &'a [u8]) -> Option<Self> {
        let (revision, rest) = split(bytes)?;
        let (_, value) = split(rest)?;
        Some(Self { revision: number(revision)?, value })
    }

    /// Reads a configuration: `revision value`.
    pub(crate) fn config(bytes: &'a [u8]) -> Option<Self> {
        let (revision, value) = split(bytes)?;
        Some(Self { revision: number(revision)?, value })
    }
}

/// What the scripts put behind the revision.
pub(crate) fn to_store(generation: Generation, value: &[u8]) -> Vec<u8> {
    let mut bytes = generation.to_string().into_bytes();
    bytes.push(b' ');
    bytes.extend_from_slice(value);
    bytes
}

fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|&b| b == b' ')?;
    Some((&bytes[..space], &bytes[space + 1..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read() {
        let stored = Stored::instance(b"17 00c0ffee00c0ffee.1 {\"a\": 1}");
        assert_eq!(stored, Some(Stored { revision: 17, value: b"{\"a\": 1}" }));
        assert_eq!(Stored::config(b"18 {}"), Some(Stored { revision: 18, value: b"{}" }));
        for bad in ["", "17", "17 x", "{\"rev\":1} a b", "-1 a b", "99999999999999999999 a b"] {
            assert_eq!(Stored::instance(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
