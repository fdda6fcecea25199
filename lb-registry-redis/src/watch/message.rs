//! What is told on a service's channel: [`Message`].

/// One change of a service, as the scripts tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// The version before it; 0: there was none.
    pub(crate) last: u64,
    /// The version after it.
    pub(crate) next: u64,
    /// What has changed.
    pub(crate) change: Change,
}

/// What has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// An instance was written: id, override as JSON (may be empty), record as JSON.
    Put { id: String, over: Vec<u8>, record: Vec<u8> },
    /// It was taken out on purpose, with what lay over it.
    Removed { id: String },
    /// Its owner took it out; what an operator laid over it stays.
    Left { id: String },
    /// Its heartbeats have stopped.
    Expired { id: String },
    /// Something was laid over it (empty: nothing any more).
    Over { id: String, over: Vec<u8> },
    /// The configuration was written.
    Config { record: Vec<u8> },
    /// The configuration was removed.
    Unconfig,
}

impl Message {
    /// Reads `last next kind id-length override-length `, then id, override and record. `None` if it is something else:
    /// anybody can publish.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let mut rest = payload;
        let last = number(word(&mut rest)?)?;
        let next = number(word(&mut rest)?)?;
        let kind = word(&mut rest)?;
        let id_length = usize::try_from(number(word(&mut rest)?)?).ok()?;
        let over_length = usize::try_from(number(word(&mut rest)?)?).ok()?;
        let (id, rest) = rest.split_at_checked(id_length)?;
        let (over, record) = rest.split_at_checked(over_length)?;
        let id = std::str::from_utf8(id).ok()?.to_owned();
        let change = match kind {
            b"put" => Change::Put { id, over: over.into(), record: record.into() },
            b"removed" => Change::Removed { id },
            b"left" => Change::Left { id },
            b"expired" => Change::Expired { id },
            b"over" => Change::Over { id, over: over.into() },
            b"conf" => Change::Config { record: record.into() },
            b"unconf" => Change::Unconfig,
            _ => return None,
        };
        (next > last).then_some(Self { last, next, change })
    }
}

fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|&b| b == b' ')?;
    let word = &rest[..end];
    *rest = &rest[end + 1..];
    Some(word)
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_a_message_is_none() {
        for payload in [
            "",
            "hello",
            "1 2 put 1 0",
            "1 2 put 9 0 a",
            "1 2 what 0 0 ",
            "2 1 unconf 0 0 ",
            "1 2 put 99999999999999999999 0 a",
            "-1 2 unconf 0 0 ",
        ] {
            assert_eq!(Message::parse(payload.as_bytes()), None, "{payload:?}");
        }
        assert_eq!(
            Message::parse(b"0 7 unconf 0 0 "),
            Some(Message { last: 0, next: 7, change: Change::Unconfig })
        );
    }

    proptest! {
        #[test]
        fn any_id_and_record_survive(id in "\\PC{0,20}", over in ".{0,20}", record in ".{0,40}") {
            let text = format!("5 6 put {} {} {id}{over}{record}", id.len(), over.len());
            let change = Change::Put { id, over: over.into(), record: record.into() };
            prop_assert_eq!(Message::parse(text.as_bytes()), Some(Message { last: 5, next: 6, change }));
        }

        #[test]
        fn nothing_makes_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Message::parse(&payload);
        }
    }
}
