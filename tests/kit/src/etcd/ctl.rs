//! Running `etcdctl`, and reading what it prints.

use std::time::Duration;

use serde_json::Value;

use crate::command;
use crate::error::{Error, Result};
use crate::locate::Tool;
use crate::tls::Certificates;

pub(super) async fn run(
    endpoints: &[String],
    certificates: Option<&Certificates>,
    args: &[&str],
) -> Result<String> {
    let mut all = vec!["--command-timeout=8s".to_owned(), format!("--endpoints={}", endpoints.join(","))];
    if let Some(certificates) = certificates {
        all.push(format!("--cacert={}", certificates.authority().display()));
        all.push(format!("--cert={}", certificates.client().display()));
        all.push(format!("--key={}", certificates.client_key().display()));
    }
    all.extend(args.iter().map(|&arg| arg.to_owned()));
    command::output(Tool::Etcdctl, &all, &[("ETCDCTL_API", "3")], Duration::from_secs(10)).await
}

/// The revision in the JSON that `endpoint status` prints.
pub(super) fn revision(status: &str) -> Result<u64> {
    let status: Value = parse(status)?;
    status[0]["Status"]["header"]["revision"].as_u64().ok_or_else(|| unexpected(&status))
}

/// The pairs in the JSON that `get` prints.
pub(super) fn key_values(listing: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let listing: Value = parse(listing)?;
    let pairs = listing["kvs"].as_array().map_or(&[][..], Vec::as_slice);
    pairs
        .iter()
        .map(|pair| {
            let field = |name: &str| {
                // A value that is empty is left out.
                base64(pair[name].as_str().unwrap_or_default()).ok_or_else(|| unexpected(pair))
            };
            Ok((String::from_utf8_lossy(&field("key")?).into_owned(), field("value")?))
        })
        .collect()
}

fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json)
        .map_err(|error| Error::new(format!("etcdctl printed no JSON ({error}): {json}")))
}

fn unexpected(json: &Value) -> Error {
    Error::new(format!("etcdctl printed something unexpected: {json}"))
}

/// The standard alphabet, padded.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for symbol in text.bytes().filter(|&symbol| symbol != b'=') {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_decoded() {
        let pairs = key_values(r#"{"kvs":[{"key":"YS9i","value":"eyJ4IjoxfQ=="},{"key":"Yw=="}],"count":2}"#);
        let pairs = pairs.expect("well formed");
        assert_eq!(pairs, [("a/b".to_owned(), br#"{"x":1}"#.to_vec()), ("c".to_owned(), Vec::new())]);
    }

    #[test]
    fn no_pairs_are_none() {
        assert_eq!(key_values(r#"{"header":{}}"#).expect("well formed"), []);
    }
}
