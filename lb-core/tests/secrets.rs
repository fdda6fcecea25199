//! A secret is carried as a reference, looked up where it is used, and seen by nobody.

use std::fs;
use std::path::PathBuf;

use lb_core::registry::shared::{Codec, Generation, JsonCodec, Record};
use lb_core::{Instance, Secret, SecretError, ThreadRandom};
use proptest::prelude::*;

/// A file that is removed in the end.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("lb-secret-{}-{name}", std::process::id()));
        fs::write(&path, content).unwrap();
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_variable_is_read_where_it_is_used() {
    // One that every test run has.
    let secret = Secret::env("PATH");
    assert_eq!(secret.resolve().unwrap().expose(), std::env::var("PATH").unwrap());
    let error = Secret::env("LB_NOT_SET").resolve().unwrap_err();
    assert!(matches!(&error, SecretError::NotSet { name } if name == "LB_NOT_SET"));
    assert!(error.to_string().contains("LB_NOT_SET"));
}

#[test]
fn a_file_is_read_without_its_last_line_break_and_anew_each_time() {
    let file = TempFile::new("trimmed", b"sk-one\r\n\n");
    let secret = Secret::file(&file.0);
    assert_eq!(secret.resolve().unwrap().expose(), "sk-one");
    fs::write(&file.0, " sk two ").unwrap();
    assert_eq!(secret.resolve().unwrap().expose(), " sk two ");
    fs::write(&file.0, "\n").unwrap();
    assert!(matches!(secret.resolve(), Err(SecretError::Empty { .. })));
    fs::write(&file.0, [b's', 0xff]).unwrap();
    assert!(matches!(secret.resolve(), Err(SecretError::NotText { .. })));
    fs::remove_file(&file.0).unwrap();
    let error = secret.resolve().unwrap_err();
    assert!(matches!(error, SecretError::File { .. }) && error.to_string().contains("trimmed"));
}

#[test]
fn references_travel_as_text() {
    for (secret, text) in [
        (Secret::env("A_KEY"), r#""env:A_KEY""#),
        (Secret::file("/run/secrets/key"), r#""file:/run/secrets/key""#),
        (Secret::literal("a:b").travels_in_clear(), r#""clear:a:b""#),
        (Secret::env("A").travels_in_clear(), r#""env:A""#),
    ] {
        assert_eq!(serde_json::to_string(&secret).unwrap(), text);
        assert_eq!(serde_json::from_str::<Secret>(text).unwrap(), secret);
    }
}

#[test]
fn plain_text_is_refused_and_not_repeated() {
    for text in [
        r#""sk-12345""#,
        r#""""#,
        r#""env:""#,
        r#""file:""#,
        r#""http://sk-12345""#,
        "12345",
        "-12345",
        "12345.5",
        "true",
        "null",
        "[12345]",
        r#"{"a":12345}"#,
    ] {
        let error = serde_json::from_str::<Secret>(text).unwrap_err().to_string();
        assert!(error.contains("env:NAME") && !error.contains("12345"), "{text}: {error}");
    }
}

#[test]
fn an_instance_with_a_literal_is_not_written() {
    let instance = |secret| Instance::new("a").with_secret("api_key", secret);
    let encode = |secret| {
        let record = Record::new(instance(secret), Generation::new(&ThreadRandom));
        JsonCodec.encode("s", &record).map(|bytes| String::from_utf8(bytes).unwrap())
    };
    let error = encode(Secret::literal("sk-12345")).unwrap_err().to_string();
    assert!(
        error.contains("Secret::env") && error.contains("travels_in_clear") && !error.contains("sk-12345")
    );
    assert!(encode(Secret::env("KEY")).unwrap().contains(r#""secrets":{"api_key":"env:KEY"}"#));
    assert!(encode(Secret::literal("x").travels_in_clear()).unwrap().contains("clear:x"));
    let read: Instance = serde_json::from_str(r#"{"id":"a","secrets":{"api_key":"env:PATH"}}"#).unwrap();
    assert_eq!(read, instance(Secret::env("PATH")));
    assert!(read.secret("api_key").unwrap().resolve().is_ok());
    assert!(read.secret("other").is_none());
}

proptest! {
    #[test]
    fn nothing_prints_it(word in "[a-z0-9]{12,20}", in_clear: bool) {
        let literal = Secret::literal(&word);
        let secret = if in_clear { literal.travels_in_clear() } else { literal };
        let file = TempFile::new(&word.chars().rev().collect::<String>(), word.as_bytes());
        let by_file = Secret::file(&file.0);
        let instance = Instance::new("a").with_secret("k", secret.clone()).with_secret("f", by_file.clone());
        let entry = lb_core::registry::Entry::new(instance.clone(), lb_core::registry::Revision::new(1));
        let value = by_file.resolve().unwrap();
        prop_assert_eq!(value.expose(), &word);
        let printed = format!(
            "{secret} {secret:?} {secret:#?} {secret:>40} {by_file} {by_file:?} {instance:?} {instance:#?} {entry:?} \
             {value} {value:?} {value:#?} {value:>40} {:?}",
            Some(&secret)
        );
        prop_assert!(!printed.contains(&word), "{}", printed);
        if !in_clear {
            prop_assert!(!format!("{:?}", serde_json::to_string(&secret)).contains(&word));
        }
        // A text that is taken for a reference is one.
        prop_assert!(!format!("{:?}", word.parse::<Secret>()).contains(&word));
    }
}
