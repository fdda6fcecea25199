//! `examples/failover` from the outside: what it says to bad input, and a run on endpoints of the user's own.
#![cfg(feature = "memory")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// The compiled example. A plain `cargo test` has built it; one that was told which targets to test may not have.
fn program() -> &'static PathBuf {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let test = std::env::current_exe().expect("a path");
        let profile = test.ancestors().nth(2).expect("target/<profile>/deps/<test>");
        let program = profile.join("examples").join(format!("failover{}", std::env::consts::EXE_SUFFIX));
        if !program.exists() {
            let release = profile.ends_with("release").then_some("--release");
            let mut cargo = Command::new(env!("CARGO"));
            cargo
                .args(["build", "--quiet", "--package", "loadbalance", "--example", "failover"])
                .args(release);
            assert!(cargo.status().expect("cargo starts").success());
        }
        program
    });
    &PROGRAM
}

/// A directory of its own for each test.
fn directory(test: &str) -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("failover-{test}"));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("a directory for the test");
    directory
}

fn run(args: &str, env: &[(&str, &str)], directory: &PathBuf) -> (i32, String) {
    let mut command = Command::new(program());
    command.args(args.split_whitespace()).envs(env.iter().copied()).current_dir(directory);
    let Output { status, stdout, stderr } = command.output().expect("it starts");
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(!text.contains("panicked"), "{args}: {text}");
    (status.code().expect("not killed"), text)
}

#[test]
fn help_names_every_option() {
    let (code, text) = run("--help", &[], &directory("help"));
    assert_eq!(code, 0);
    let options = "--vendors --prompts --out --requests --concurrency --rate --timeout --smoke";
    for option in options.split(' ') {
        assert!(text.contains(option), "{option}");
    }
}

#[test]
fn bad_input_is_named_with_its_place() {
    let directory = directory("bad");
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).expect("written");
    write("bad.jsonl", "{\"prompt\": \"a\"}\n{\"prompt\": }\n");
    write("typo.jsonl", "{\"promt\": \"a\"}\n");
    write("good.jsonl", "{\"prompt\": \"a\"}\n");
    write("bad.json", "[{]");
    write("field.json", r#"[{"id": "a", "base_url": "http://127.0.0.1:1/v1"}]"#);
    write(
        "key.json",
        r#"[{"id":"a","base_url":"http://127.0.0.1:1/v1","model":"m","api_key_env":"NOT_SET_KEY"}]"#,
    );
    write("good.json", r#"[{"id":"a","base_url":"http://127.0.0.1:1/v1","model":"m"}]"#);
    let cases: [(&str, &[&str]); 11] = [
        ("--frobnicate", &["--frobnicate", "--help"]),
        ("--requests none", &["--requests none", "whole number"]),
        ("--prompts no.jsonl", &["no.jsonl", "--prompts"]),
        ("--prompts bad.jsonl", &["bad.jsonl", "line 2", "column 12"]),
        ("--prompts typo.jsonl", &["typo.jsonl", "line 1", "`promt`", "`prompt`"]),
        ("--vendors no.json", &["no.json", "vendors.example.json"]),
        ("--vendors bad.json", &["bad.json", "line 1"]),
        ("--vendors field.json", &["field.json", "entry 1", "\"a\"", "`model`"]),
        ("--vendors key.json", &["key.json", "entry 1", "NOT_SET_KEY", "export"]),
        ("--vendors good.json --out good.jsonl", &["good.jsonl", "exists already"]),
        ("--vendors good.json --out no/such/answers.jsonl", &["no/such/answers.jsonl", "--out"]),
    ];
    for (args, parts) in cases {
        let (code, text) = run(args, &[], &directory);
        assert_eq!(code, 2, "{args}: {text}");
        for part in parts {
            assert!(text.contains(part), "{args} does not say {part}: {text}");
        }
    }
}

const KEY: &str = "sk-a-key-of-the-test";

/// A vendor on a loopback port; its base URL.
async fn vendor(answer: impl Fn(&HeaderMap, &Value) -> Response + Clone + Send + Sync + 'static) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/v1", listener.local_addr().expect("an address"));
    let chat = post(async move |headers: HeaderMap, Json(request): Json<Value>| answer(&headers, &request));
    let app = Router::new().route("/v1/chat/completions", chat);
    tokio::spawn(axum::serve(listener, app).into_future());
    url
}

fn refuses_the_key(headers: &HeaderMap, _: &Value) -> Response {
    // Some vendors do repeat it.
    let message = format!("bad key {}", headers["authorization"].to_str().unwrap_or_default());
    (StatusCode::UNAUTHORIZED, Json(json!({ "error": { "code": "invalid_api_key", "message": message } })))
        .into_response()
}

fn answers(_: &HeaderMap, request: &Value) -> Response {
    match request["messages"][0]["content"].as_str() {
        Some("too long") => {
            let error = json!({ "error": { "code": "context_length_exceeded", "message": "shorten it" } });
            (StatusCode::BAD_REQUEST, Json(error)).into_response()
        }
        prompt => {
            let message = json!({ "content": format!("echo {}", prompt.unwrap_or_default()) });
            Json(json!({ "choices": [{ "message": message, "finish_reason": "stop" }] })).into_response()
        }
    }
}

fn streams(_: &HeaderMap, request: &Value) -> Response {
    assert_eq!(request["stream"], true);
    let piece =
        |text: &str| format!("data: {}\n\n", json!({ "choices": [{ "delta": { "content": text } }] }));
    [
        piece("echo "),
        piece(request["messages"][0]["content"].as_str().unwrap_or_default()),
        "data: [DONE]\n\n".into(),
    ]
    .concat()
    .into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn own_endpoints_and_prompts() {
    let directory = directory("own");
    let vendors = json!([
        { "id": "expired", "base_url": vendor(refuses_the_key).await, "model": "m", "api_key_env": "TEST_KEY" },
        { "id": "whole", "base_url": vendor(answers).await, "model": "m", "api_key_env": "TEST_KEY" },
        { "id": "streams", "base_url": vendor(streams).await, "model": "m", "stream": true },
        { "id": "nobody", "base_url": "http://127.0.0.1:1/v1", "model": "m" },
    ]);
    fs::write(directory.join("vendors.json"), vendors.to_string()).expect("written");
    fs::write(directory.join("prompts.jsonl"), "{\"prompt\":\"one\"}\n{\"prompt\":\"two\"}\n")
        .expect("written");
    let args =
        "--vendors vendors.json --prompts prompts.jsonl --out answers.jsonl --requests 20 --concurrency 3";
    let (code, text) = run(args, &[("TEST_KEY", KEY)], &directory);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("expired is set aside: HTTP 401 (invalid_api_key): bad key Bearer <key>"),
        "{text}"
    );
    let written = fs::read_to_string(directory.join("answers.jsonl")).expect("answers");
    assert!(!text.contains(KEY) && !written.contains(KEY), "a key is never printed");
    let mut lines: Vec<Value> =
        written.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    lines.sort_by_key(|line| line["request"].as_u64());
    assert_eq!(lines.len(), 20);
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["request"], index);
        assert_eq!(line["prompt"], index % 2);
        assert_eq!(line["answer"], ["echo one", "echo two"][index % 2], "{line}");
        assert!(["whole", "streams"].contains(&line["vendor"].as_str().unwrap_or_default()), "{line}");
        assert!(line["attempts"].as_u64() >= Some(1), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_that_no_vendor_takes_is_told_of() {
    let directory = directory("unsuitable");
    let vendors = json!([{ "id": "whole", "base_url": vendor(answers).await, "model": "m" }]);
    fs::write(directory.join("vendors.json"), vendors.to_string()).expect("written");
    fs::write(directory.join("prompts.jsonl"), "{\"prompt\":\"fine\"}\n{\"prompt\":\"too long\"}\n")
        .expect("written");
    let args = "--vendors vendors.json --prompts prompts.jsonl --out answers.jsonl";
    let (code, text) = run(args, &[], &directory);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("not answered: request 1:") && text.contains("context_length_exceeded"), "{text}");
    let written = fs::read_to_string(directory.join("answers.jsonl")).expect("answers");
    assert!(written.contains("\"answer\":\"echo fine\"") && written.contains("\"error\":"), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn does_not_wait_for_vendors_that_cannot_serve() {
    let directory = directory("unusable");
    let vendors = json!([
        { "id": "a", "base_url": vendor(refuses_the_key).await, "model": "m", "api_key_env": "TEST_KEY" },
        { "id": "b", "base_url": vendor(refuses_the_key).await, "model": "m", "api_key_env": "TEST_KEY" },
    ]);
    fs::write(directory.join("vendors.json"), vendors.to_string()).expect("written");
    let began = tokio::time::Instant::now();
    let (code, text) = run("--vendors vendors.json --requests 4", &[("TEST_KEY", KEY)], &directory);
    // Whichever comes first: the program sees that nobody is left, or the last request is told so.
    let told = [(2, "no vendor can be used"), (1, "all its instances are unusable")];
    assert!(told.iter().any(|(exit, why)| code == *exit && text.contains(why)), "{code}: {text}");
    assert!(text.contains("  b is set aside: HTTP 401"), "{text}");
    assert!(!text.contains(KEY), "{text}");
    assert!(began.elapsed() < Duration::from_secs(20), "it must not wait until they are asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_is_begun_anew_elsewhere() {
    let directory = directory("cut");
    let cut = |_: &HeaderMap, _: &Value| {
        let piece = json!({ "choices": [{ "delta": { "content": "half an ans" } }] });
        format!("data: {piece}\n\n").into_response()
    };
    let vendors = json!([
        { "id": "cut", "base_url": vendor(cut).await, "model": "m", "stream": true },
        { "id": "whole", "base_url": vendor(answers).await, "model": "m" },
    ]);
    fs::write(directory.join("vendors.json"), vendors.to_string()).expect("written");
    fs::write(directory.join("prompts.jsonl"), "{\"prompt\":\"one\"}\n").expect("written");
    let args =
        "--vendors vendors.json --prompts prompts.jsonl --out answers.jsonl --requests 6 --concurrency 1";
    let (code, text) = run(args, &[], &directory);
    assert_eq!(code, 0, "{text}");
    let written = fs::read_to_string(directory.join("answers.jsonl")).expect("answers");
    assert_eq!(written.matches("\"answer\":\"echo one\"").count(), 6, "{written}");
    assert!(written.contains("\"attempts\":2"), "the one that breaks off was asked, too: {written}");
}
