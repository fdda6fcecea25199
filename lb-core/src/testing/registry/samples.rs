//! What the rules write.

use std::time::Duration;

use crate::config::{RetryBudgetConfig, ServiceConfig, StrategySpec};
use crate::instance::Instance;
use crate::limits::Limits;
use crate::secret::Secret;

/// Names that are allowed, and that a careless store takes for a path, a pattern, an escape, the same, or its own.
pub(super) const ODD: &[&str] = &[
    " ",
    " a",
    "#",
    "$",
    "%",
    "%2F",
    "%2f",
    "'",
    "*",
    "+",
    ".",
    "..",
    "../a",
    "/",
    "/a",
    "//",
    ":",
    "?",
    "A",
    "\"",
    "[a]",
    "\\",
    "\\n",
    "_",
    "a",
    "a ",
    "a b",
    "a%2Fb",
    "a+b",
    "a-b",
    "a.b",
    "a/",
    "a/b",
    "a/b/",
    "a//b",
    "a:b",
    "a_b",
    "config",
    "instances",
    "null",
    "overrides",
    "services",
    "{a}",
    "|",
    "é",
    "e\u{301}",
    "日本語",
    "🦀",
    "\u{feff}a",
    "\u{202e}a",
    "~",
];

/// Names that must be refused, each with what is wrong with it.
pub(super) fn bad() -> Vec<(String, &'static str)> {
    vec![
        (String::new(), "empty"),
        ("a\nb".into(), "with a newline"),
        ("\t".into(), "a tab"),
        ("a\0".into(), "with a NUL"),
        ("\u{7f}".into(), "a delete character"),
        ("a\u{85}".into(), "with a C1 control character"),
        ("a".repeat(257), "of 257 bytes"),
        ("é".repeat(129), "of 129 characters, but 258 bytes"),
    ]
}

/// The longest names that must be taken.
pub(super) fn longest() -> [String; 3] {
    ["a".repeat(256), "é".repeat(128), "/".repeat(256)]
}

/// A configuration that tests tell from others by its number of retries.
pub(super) fn config(retries: u32) -> ServiceConfig {
    built(ServiceConfig::builder().max_retries(retries).build())
}

/// A configuration in which no field has its default.
pub(super) fn full_config() -> ServiceConfig {
    let strategy =
        StrategySpec::new("ring").with_params(serde_json::json!({ "vnodes": 100, "names": ["a", null] }));
    built(
        ServiceConfig::builder()
            .max_retries(7)
            .retry_delay(Duration::from_millis(1_500))
            .retry_backoff(1.5)
            .max_retry_delay(Duration::from_secs(90))
            .jitter(0.25)
            .max_wait(Duration::ZERO)
            .max_waiting(3)
            .max_failovers_per_round(4)
            .attempt_timeout(Duration::from_micros(1))
            .deadline(Duration::from_secs(7 * 24 * 3600))
            .retry_budget(RetryBudgetConfig::new(0.5, 2.0, 8.0))
            .strategy(strategy)
            .build(),
    )
}

fn built(config: Result<ServiceConfig, crate::config::ConfigError>) -> ServiceConfig {
    match config {
        Ok(config) => config,
        Err(error) => unreachable!("the contract test wrote a bad configuration: {error}"),
    }
}

/// Instances that between them have every field, at ordinary and at extreme values.
pub(super) fn full_instances() -> Vec<Instance> {
    vec![
        Instance::new("bare"),
        Instance::new("ordinary")
            .with_address("https://例え.jp:8443/v1?x=1&y=%20#z")
            .with_weight(3)
            .with_priority(2)
            .with_zone("eu-central-1/b")
            .with_limits(
                Limits::NONE
                    .concurrency(8)
                    .requests_per_minute(500)
                    .tokens_per_minute(1_000_000)
                    .burst(Duration::from_millis(250)),
            )
            .with_quota_group("account 7")
            .with_metadata("rack", "b4")
            .with_metadata("", "an empty key")
            .with_metadata("empty", "")
            .with_metadata("lines", "one\ntwo\0\u{1f}\"three\"\\")
            .with_metadata("日本", "🦀")
            .with_secret("api_key", Secret::env("KEY"))
            .with_secret("", Secret::file("/run/secrets/日本")),
        Instance::new("extreme")
            .with_address("")
            .with_weight(u32::MAX)
            .with_priority(u32::MAX)
            .with_limits(
                Limits::NONE
                    .concurrency(u32::MAX)
                    .requests_per_minute(u32::MAX)
                    // Beyond the whole numbers that a double can tell apart.
                    .tokens_per_minute(u64::MAX)
                    .burst(Duration::from_nanos(1)),
            )
            .with_metadata("long", "x".repeat(10_000)),
        Instance::new("zero").with_weight(0).with_limits(Limits::NONE.concurrency(0)),
    ]
}
