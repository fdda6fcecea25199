//! The formats of other projects: bytes that they wrote are read, and what is written is what they read.
//!
//! Where the recorded bytes come from:
//! - gRPC-Go: the output of `etcdctl get trillian-logserver/ --prefix` in the documentation of `google/trillian`, whose
//!   servers register through `go.etcd.io/etcd/client/v3/naming`
//! - Kitex: the output of `etcdctl get --prefix "kitex"` in a published walk through Kitex's tutorial, whose servers
//!   register through `github.com/kitex-contrib/registry-etcd`
//! - kratos: what its resolver prints of the instances that it found, which is the same `json.Marshal` of
//!   `registry.ServiceInstance` that `contrib/registry/etcd` writes
//! - go-zero: the output of `etcdctl get --prefix user.rpc` in a published walk through its `core/discov`

use std::sync::Arc;

use lb_core::registry::InstanceState;
use lb_core::registry::shared::{Codec, Generation, Record};
use lb_core::{Instance, ServiceInstance, ThreadRandom};
use lb_registry_etcd::{GoZeroCodec, KitexCodec, KratosCodec, NativeCodec};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn decode(codec: &dyn Codec<Instance>, service: &str, id: &str, bytes: &str) -> Instance {
    let record = codec.decode(service, id, bytes.as_bytes()).unwrap();
    assert_eq!((record.state, record.generation), (InstanceState::Ready, None));
    Arc::unwrap_or_clone(record.instance)
}

fn ours(id: &str) -> Record<Instance> {
    let instance = Instance::new(id)
        .with_address("10.0.0.1:8080")
        .with_weight(3)
        .with_zone("eu/a")
        .with_metadata("rack", "b4")
        .with_metadata("日本", "🦀\"\\");
    Record::new(instance, Generation::new(&ThreadRandom))
}

fn written(codec: &dyn Codec<Instance>, record: &Record<Instance>) -> Value {
    serde_json::from_slice(&codec.encode("cart", record).unwrap()).unwrap()
}

#[test]
fn grpc_go_is_read() {
    let bytes = r#"{"Op":0,"Addr":"localhost:6962","Metadata":null}"#;
    let instance = decode(&NativeCodec, "trillian-logserver", "localhost:6962", bytes);
    assert_eq!(instance, Instance::new("localhost:6962").with_address("localhost:6962"));

    let bytes = r#"{"Op":0,"Addr":"127.0.0.1:8091","Metadata":{"weight":200}}"#;
    assert_eq!(decode(&NativeCodec, "s", "a", bytes).address(), Some("127.0.0.1:8091"), "labels of any kind");
    let bytes = r#"{"Op":0,"Addr":"h:1","Metadata":{"zone":"a"}}"#;
    assert_eq!(decode(&NativeCodec, "s", "a", bytes).metadata["zone"], "a");
    let bytes = r#"{"Op":0,"Addr":"h:1","Metadata":"text"}"#;
    assert_eq!(decode(&NativeCodec, "s", "a", bytes).address(), Some("h:1"));
}

#[test]
fn grpc_go_reads_what_is_written() {
    let value = written(&NativeCodec, &ours("cart-1"));
    assert_eq!((&value["Op"], &value["Addr"]), (&json!(0), &json!("10.0.0.1:8080")));
    assert_eq!((&value["lb"], &value["instance"]["id"]), (&json!(1), &json!("cart-1")));
    assert_eq!(value["Metadata"], Value::Null, "gRPC-Go hashes it, and an object has no hash there");
    // By hand, in another order.
    let text = serde_json::to_string(&value).unwrap();
    assert!(text.starts_with("{\"Addr\""), "{text}");
    let read: Record<Instance> = NativeCodec.decode("cart", "cart-1", text.as_bytes()).unwrap();
    assert_eq!(read.instance, ours("cart-1").instance);
}

#[test]
fn kitex_is_read() {
    let bytes = r#"{"network":"tcp","address":"192.168.196.240:8888","weight":10,"tags":null}"#;
    let instance = decode(&KitexCodec, "example.shop.item", "192.168.196.240:8888", bytes);
    let expected = Instance::new("192.168.196.240:8888").with_address("192.168.196.240:8888").with_weight(10);
    assert_eq!(instance, expected);

    let bytes = r#"{"network":"tcp","address":"h:1","weight":0,"tags":{"cluster":"c1"}}"#;
    let instance = decode(&KitexCodec, "s", "h:1", bytes);
    assert_eq!((instance.weight, &*instance.metadata["cluster"]), (10, "c1"), "no weight is Kitex's default");
}

#[test]
fn kitex_reads_what_is_written() {
    let value = written(&KitexCodec, &ours("cart-1"));
    assert_eq!(value["network"], "tcp");
    assert_eq!((&value["address"], &value["weight"]), (&json!("10.0.0.1:8080"), &json!(3)));
    assert!(value["tags"].as_object().unwrap().values().all(Value::is_string), "tags are map[string]string");
    assert_eq!(value["tags"]["rack"], "b4");
}

#[test]
fn kratos_is_read() {
    let bytes = r#"{"id":"DESKTOP-82POIPF","name":"helloworld-srv","version":"","metadata":null,"endpoints":["grpc://192.168.100.1:9000","http://192.168.100.1:8000"]}"#;
    let instance = decode(&KratosCodec, "helloworld-srv", "DESKTOP-82POIPF", bytes);
    assert_eq!(instance, Instance::new("DESKTOP-82POIPF").with_address("192.168.100.1:9000"));

    let bytes = r#"{"id":"a","name":"s","version":"v1.0.0","metadata":{"weight":"5"},"endpoints":["grpc://h:1?isSecure=false"]}"#;
    let instance = decode(&KratosCodec, "s", "a", bytes);
    assert_eq!((instance.address(), instance.weight), (Some("h:1"), 5));
    assert_eq!(instance.metadata["version"], "v1.0.0");
}

#[test]
fn kratos_reads_what_is_written() {
    let value = written(&KratosCodec, &ours("cart-1"));
    assert_eq!((&value["id"], &value["name"]), (&json!("cart-1"), &json!("cart")));
    assert_eq!(value["endpoints"], json!(["grpc://10.0.0.1:8080?isSecure=false"]));
    assert_eq!(value["metadata"]["weight"], "3");
    assert!(value["metadata"].as_object().unwrap().values().all(Value::is_string));
}

#[test]
fn go_zero_is_read_and_written() {
    let instance = decode(&GoZeroCodec, "user.rpc", "7587873906211629829", "192.168.56.102:8080");
    assert_eq!(instance, Instance::new("7587873906211629829").with_address("192.168.56.102:8080"));
    let codec: &dyn Codec<Instance> = &GoZeroCodec;
    assert_eq!(codec.encode("cart", &ours("a")).unwrap(), b"10.0.0.1:8080");
}

#[test]
fn what_is_written_is_read_back_whole() {
    for codec in [&NativeCodec as &dyn Codec<Instance>, &KitexCodec, &KratosCodec] {
        for state in [InstanceState::Ready, InstanceState::Draining, InstanceState::Starting] {
            let record = ours("cart-1").with_state(state);
            let bytes = codec.encode("cart", &record).unwrap();
            let read = codec.decode("cart", "cart-1", &bytes).unwrap();
            assert_eq!(read.instance, record.instance, "{}", codec.name());
            assert_eq!((read.state, read.generation), (record.state, record.generation), "{}", codec.name());
            assert!(codec.decode("cart", "another", &bytes).is_err(), "{}", codec.name());
        }
    }
}

/// A type of one's own, which has what other projects know of an instance.
#[derive(Debug, Serialize, Deserialize)]
struct Host {
    id: String,
    address: String,
}

impl ServiceInstance for Host {
    fn id(&self) -> &str {
        &self.id
    }
    fn address(&self) -> Option<&str> {
        Some(&self.address)
    }
}

#[test]
fn a_type_of_ones_own_is_made_of_what_others_wrote() {
    let codec: &dyn Codec<Host> = &NativeCodec;
    let read = codec.decode("s", "a", br#"{"Op":0,"Addr":"h:1"}"#).unwrap();
    assert_eq!((read.instance.id(), read.instance.address()), ("a", Some("h:1")));
}

#[test]
fn bad_values_are_errors_that_do_not_quote_them() {
    let bad: &[&[u8]] = &[
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"{\"Op\":1,\"Addr\":\"h:1\"}",
        b"{\"Op\":0,\"Addr\":\"\"}",
        b"{\"Op\":0,\"Addr\":7}",
        b"{\"address\":5}",
        b"{\"id\":\"other\",\"name\":\"s\"}",
        b"hunter2 hunter2",
        b"{\"lb\":99,\"Op\":0,\"Addr\":\"h\"}",
        b"{\"Op\":0,\"Addr\":\"h\",\"lb\":1}",
        b"{\"network\":\"tcp\",\"address\":\"h\",\"tags\":{\"lb\":\"hunter2\"}}",
    ];
    for codec in [&NativeCodec as &dyn Codec<Instance>, &KitexCodec, &KratosCodec, &GoZeroCodec] {
        let mut refused = 0;
        for bytes in bad {
            if let Err(error) = codec.decode("s", "a", bytes) {
                refused += 1;
                assert!(!error.to_string().contains("hunter2"), "{error}");
            }
        }
        assert!(refused >= 8, "{} refuses only {refused}", codec.name());
    }
}

#[test]
fn an_instance_without_an_address_is_written_where_that_is_possible() {
    let record = Record::new(Instance::new("key-1"), Generation::new(&ThreadRandom));
    let native: &dyn Codec<Instance> = &NativeCodec;
    assert!(native.encode("s", &record).is_ok());
    for codec in [&KitexCodec as &dyn Codec<Instance>, &KratosCodec, &GoZeroCodec] {
        let error = codec.encode("s", &record).unwrap_err();
        assert!(error.to_string().contains("address"), "{error}");
    }
}
