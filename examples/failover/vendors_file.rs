//! The vendors file: a JSON array of endpoints.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use loadbalance::prelude::*;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::key::Key;
use crate::problem::Problem;
use crate::vendor::Vendor;

/// One entry of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    base_url: String,
    model: String,
    api_key_env: Option<String>,
    #[serde(default)]
    stream: bool,
    #[serde(default = "one")]
    weight: u32,
    limits: Option<Declared>,
    quota_group: Option<String>,
}

fn one() -> u32 {
    1
}

/// [`Limits`], with misspelt fields refused: a limit that is silently not kept costs money.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    concurrency: Option<u32>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u64>,
}

/// Reads the file, and the keys from the environment.
pub(crate) fn read(path: &Path, client: &Client, silence: Duration) -> Result<Vec<Vendor>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let example = "examples/failover/vendors.example.json is one to start from";
        Problem::new(format!("cannot read the vendors file {}: {error}; {example}", path.display()))
    })?;
    let reader =
        Reader { file: &path.display().to_string(), client, silence, env: &|name| std::env::var_os(name) };
    reader.parse(&text)
}

struct Reader<'a> {
    file: &'a str,
    client: &'a Client,
    silence: Duration,
    env: &'a dyn Fn(&str) -> Option<std::ffi::OsString>,
}

impl Reader<'_> {
    fn parse(&self, text: &str) -> Result<Vec<Vendor>, Problem> {
        let file = self.file;
        let entries: Vec<Value> = serde_json::from_str(text).map_err(|error| {
            Problem::new(format!(
                "{file} is not a JSON array: {error}; see examples/failover/vendors.example.json"
            ))
        })?;
        if entries.is_empty() {
            return Err(Problem::new(format!("{file} has no entries; put at least one vendor into it")));
        }
        let mut ids = BTreeSet::new();
        let mut vendors = Vec::new();
        for (number, entry) in (1..).zip(entries) {
            let name = match entry["id"].as_str() {
                Some(id) => format!("{file}, entry {number} ({id:?})"),
                None => format!("{file}, entry {number}"),
            };
            let vendor = self.vendor(entry).map_err(|what| Problem::new(format!("{name}: {what}")))?;
            if !ids.insert(vendor.id.clone()) {
                return Err(Problem::new(format!(
                    "{name}: another entry has the same `id`; make them differ"
                )));
            }
            vendors.push(vendor);
        }
        Ok(vendors)
    }

    fn vendor(&self, entry: Value) -> Result<Vendor, String> {
        let entry: Entry = serde_json::from_value(entry).map_err(|error| error.to_string())?;
        if entry.id.trim().is_empty() || entry.id.len() > 256 || entry.id.contains(char::is_control) {
            return Err("`id` must be 1 to 256 bytes without control characters".into());
        }
        if entry.model.trim().is_empty() {
            return Err("`model` is empty; give the vendor's name of the model".into());
        }
        let limits = entry.limits.as_ref().map_or(Ok(Limits::NONE), limits)?;
        Ok(Vendor {
            url: url(&entry.base_url)?,
            key: entry.api_key_env.as_deref().map(|name| self.key(name)).transpose()?,
            id: entry.id,
            model: entry.model,
            stream: entry.stream,
            weight: entry.weight,
            limits,
            quota_group: entry.quota_group,
            client: self.client.clone(),
            silence: self.silence,
        })
    }

    /// Says which variable, and never what is in it.
    fn key(&self, name: &str) -> Result<Key, String> {
        // Somebody will put the key itself here, and must not find it in a log.
        if !name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_') || name.is_empty()
        {
            return Err(
                "`api_key_env` must be the name of an environment variable in capitals, like MY_API_KEY, \
                        and not the key itself"
                    .into(),
            );
        }
        let variable = format!("`api_key_env`: the environment variable {name}");
        let value = (self.env)(name).ok_or(format!("{variable} is not set; export {name}=<the key>"))?;
        let value = value.to_str().map(str::trim).unwrap_or_default();
        if value.is_empty() {
            return Err(format!("{variable} holds no text; export {name}=<the key>"));
        }
        Key::new(value).map_err(|_| format!("{variable} has characters that no key has; set it again"))
    }
}

fn url(base: &str) -> Result<Url, String> {
    let example = "it is like \"https://api.example.com/v1\"";
    let base = base.trim_end_matches('/');
    if base.ends_with("/chat/completions") {
        return Err(format!("`base_url` must end before /chat/completions; {example}"));
    }
    let url: Url = base.parse().map_err(|error| format!("`base_url` {base:?}: {error}; {example}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || url.fragment().is_some() {
        return Err(format!("`base_url` {base:?}: must be http or https, without a query; {example}"));
    }
    format!("{base}/chat/completions")
        .parse()
        .map_err(|error| format!("`base_url` {base:?}: {error}; {example}"))
}

fn limits(declared: &Declared) -> Result<Limits, String> {
    let Declared { concurrency, requests_per_minute, tokens_per_minute } = *declared;
    if concurrency == Some(0) || requests_per_minute == Some(0) || tokens_per_minute == Some(0) {
        return Err("`limits`: 0 lets nothing pass; leave the field out, or set `weight` to 0".into());
    }
    let mut limits = Limits::NONE;
    limits.concurrency = concurrency;
    limits.requests_per_minute = requests_per_minute;
    limits.tokens_per_minute = tokens_per_minute;
    Ok(limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Vendor>, String> {
        let env = |name: &str| match name {
            "GOOD" => Some(" sk-123\n".into()),
            "EMPTY" => Some("".into()),
            "TWO_LINES" => Some("sk\n123".into()),
            _ => None,
        };
        let (client, silence) = (Client::new(), Duration::from_secs(1));
        let reader = Reader { file: "v.json", client: &client, silence, env: &env };
        reader.parse(text).map_err(|problem| problem.to_string())
    }

    #[test]
    fn a_whole_entry() {
        let text = r#"[{"id":"a","base_url":"https://x/v1/","model":"m","api_key_env":"GOOD","stream":true,"weight":3,
                        "limits":{"concurrency":2,"tokens_per_minute":9000},"quota_group":"g"},
                       {"id":"b","base_url":"http://127.0.0.1:8000/v1","model":"m"}]"#;
        let vendors = parsed(text).unwrap();
        assert_eq!(vendors[0].url.as_str(), "https://x/v1/chat/completions");
        assert_eq!(vendors[0].limits, Limits::NONE.concurrency(2).tokens_per_minute(9000));
        assert!(vendors[1].key.is_none());
        assert!(!format!("{vendors:?}").contains("123\""), "{vendors:?}");
        assert!(!format!("{vendors:?}").contains("sk-"), "{vendors:?}");
    }

    #[test]
    fn the_entry_and_the_field_are_named() {
        let entry = |fields: &str| format!(r#"[{{"id":"a","base_url":"https://x/v1","model":"m"{fields}}}]"#);
        let bad = [
            ("{".into(), "v.json is not a JSON array"),
            ("[]".into(), "v.json has no entries"),
            (r#"[{"base_url":"https://x","model":"m"}]"#.into(), "v.json, entry 1: missing field `id`"),
            (r#"[{"id":"a","model":"m"}]"#.into(), "v.json, entry 1 (\"a\"): missing field `base_url`"),
            (r#"[{"id":"a","base_url":"x","model":"m"}]"#.into(), "`base_url` \"x\""),
            (r#"[{"id":"a","base_url":"ftp://x","model":"m"}]"#.into(), "must be http or https"),
            (r#"[{"id":"a","base_url":"http://x/chat/completions","model":"m"}]"#.into(), "must end before"),
            (r#"[{"id":"a","base_url":"http://x","model":""}]"#.into(), "`model` is empty"),
            (r#"[{"id":"","base_url":"http://x","model":"m"}]"#.into(), "`id` must be"),
            (entry(r#","api_key":"sk-1""#), "unknown field `api_key`"),
            (entry(r#","api_key_env":"NO_SUCH_KEY""#), "variable NO_SUCH_KEY is not set"),
            (entry(r#","api_key_env":"sk-proj-1""#), "must be the name of an environment variable"),
            (entry(r#","api_key_env":"EMPTY""#), "variable EMPTY holds no text"),
            (entry(r#","api_key_env":"TWO_LINES""#), "variable TWO_LINES has characters"),
            (entry(r#","limits":{"rpm":5}"#), "unknown field `rpm`"),
            (entry(r#","limits":{"concurrency":0}"#), "`limits`: 0 lets nothing pass"),
            (entry(r#","weight":-1"#), "-1"),
            (
                entry("}, {\"id\":\"a\",\"base_url\":\"https://x\",\"model\":\"m\""),
                "entry 2 (\"a\"): another entry",
            ),
        ];
        for (text, part) in bad {
            let problem = parsed(&text).unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
            assert!(!problem.contains("sk"), "a key is never printed: {problem}");
        }
    }
}
