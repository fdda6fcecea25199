//! What is written for an instance can be read, by this version and others; and what cannot be read is not quoted.

use lb_core::registry::InstanceState;
use lb_core::registry::shared::{
    Codec, CodecError, Generation, JsonCodec, Record, decode_config, decode_override,
};
use lb_core::{Instance, SeededRandom, ServiceInstance, ThreadRandom};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

fn read(bytes: &[u8]) -> Result<Record<Instance>, CodecError> {
    JsonCodec.decode("cart", "cart-1", bytes)
}

proptest! {
    #[test]
    fn a_record_comes_back(id in ".{1,20}", weight in any::<u32>(), seed in any::<u64>(), versions in 0..5, state in 0..3) {
        let state = [InstanceState::Starting, InstanceState::Ready, InstanceState::Draining][state as usize];
        let generation = (0..versions).fold(Generation::new(&SeededRandom::new(seed)), |g, _| g.next());
        let record = Record::new(Instance::new(&id).with_weight(weight), generation).with_state(state);
        let bytes = JsonCodec.encode("s", &record).unwrap();
        let back: Record<Instance> = JsonCodec.decode("s", &id, &bytes).unwrap();
        prop_assert_eq!((back.instance, back.state, back.generation), (record.instance, state, Some(generation)));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(read(&bytes).is_err());
        let _ = (decode_config(&bytes), decode_override(&bytes));
    }

    #[test]
    fn a_text_is_a_generation_or_not(text in ".{0,30}") {
        if let Ok(generation) = text.parse::<Generation>() {
            prop_assert_eq!(generation.to_string().parse(), Ok(generation));
        }
    }
}

#[test]
fn the_format_is_what_is_documented() {
    let generation: Generation = "00c0ffee00c0ffee.2".parse().unwrap();
    let record =
        Record::new(Instance::new("cart-1").with_weight(3), generation).with_state(InstanceState::Draining);
    assert_eq!(
        String::from_utf8(JsonCodec.encode("cart", &record).unwrap()).unwrap(),
        r#"{"lb":1,"gen":"00c0ffee00c0ffee.2","state":"draining","weight":3,"instance":{"id":"cart-1","weight":3,"priority":0}}"#
    );
}

#[test]
fn later_versions_may_add_fields() {
    let record = read(br#"{"lb":1,"instance":{"id":"cart-1"},"new":{"a":1}}"#).unwrap();
    assert_eq!((record.generation, record.state), (None, InstanceState::Ready));
    let error = read(br#"{"lb":2,"instance":{"id":"cart-1"}}"#).unwrap_err();
    assert_eq!(error, CodecError::Version { found: 2, known: 1 });
    let error = read(br#"{"lb":9,"something":"else"}"#).unwrap_err();
    assert_eq!(error, CodecError::Version { found: 9, known: 1 });
}

#[test]
fn an_instance_under_another_key_is_refused() {
    assert_eq!(read(br#"{"lb":1,"instance":{"id":"cart-2"}}"#).unwrap_err(), CodecError::WrongId);
}

#[test]
fn errors_do_not_quote_the_value() {
    for bad in [
        r#"{"lb":1,"instance":"sk-secret"}"#,
        r#"{"lb":1,"instance":{"id":"cart-1","weight":"sk-secret"}}"#,
        r#"{"lb":1,"sk-secret"#,
        r#"{"lb":1,"gen":"sk-secret","instance":{"id":"cart-1"}}"#,
        r#"{"lb":1,"state":"sk-secret","instance":{"id":"cart-1"}}"#,
        r"sk-secret",
    ] {
        let error = read(bad.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("sk-secret"), "{error:?}");
        let error = decode_config(bad.as_bytes());
        assert!(!format!("{error:?}").contains("sk-secret"), "{error:?}");
    }
}

#[test]
fn an_instance_that_refuses_to_be_written_says_why() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("write it as a reference"))
        }
    }
    impl<'de> Deserialize<'de> for Refuses {
        fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
            Ok(Self)
        }
    }
    impl ServiceInstance for Refuses {
        fn id(&self) -> &'static str {
            "a"
        }
    }
    let error = JsonCodec.encode("s", &Record::new(Refuses, Generation::new(&ThreadRandom))).unwrap_err();
    assert_eq!(error.to_string(), "it cannot be written: write it as a reference");
}
