//! What users would like to write. That it compiles is most of the test.

use std::fmt;
use std::time::Duration;

use loadbalance::prelude::*;

/// Everything needed to call one vendor of a language model.
#[derive(Clone, Debug)]
struct Vendor {
    name: String,
    region: &'static str,
}

impl ServiceInstance for Vendor {
    fn id(&self) -> &str {
        &self.name
    }
}

impl Vendor {
    fn new(name: &str) -> Self {
        Self { name: name.into(), region: "eu" }
    }

    async fn chat(&self, messages: &[String]) -> Result<String, ChatError> {
        tokio::task::yield_now().await;
        match self.name.as_str() {
            "down" => Err(ChatError::Http(503)),
            _ => Ok(format!("{} says {}", self.name, messages.join(" "))),
        }
    }
}

/// The user's own error.
#[derive(Debug, PartialEq)]
enum ChatError {
    Http(u16),
    TooLong,
}

impl fmt::Display for ChatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for ChatError {}

impl Classify for ChatError {
    fn classify(&self) -> Failure {
        match self {
            Self::Http(429) => Failure::limit_exceeded(),
            Self::Http(401 | 403) => Failure::unusable(),
            Self::Http(500..) => Failure::service(),
            Self::Http(_) => Failure::rejected(),
            Self::TooLong => Failure::unsuitable(),
        }
    }
}

async fn vendors(names: &[&str]) -> LoadBalancer<Vendor> {
    let registry = MemoryRegistry::new();
    for name in names {
        registry.register("qwen-max", Vendor::new(name)).await.unwrap();
    }
    LoadBalancer::new(registry)
}

#[tokio::test]
async fn closures_borrow_what_is_around_them() {
    let lb = vendors(&["down", "up"]).await;
    let messages = vec!["hello".to_owned()];
    for _ in 0..2 {
        let answer = lb.execute("qwen-max", async |vendor| vendor.chat(&messages).await).await.unwrap();
        assert_eq!(answer, "up says hello");
    }
    assert_eq!(messages.len(), 1, "still ours");
}

async fn by_name(vendor: Picked<Vendor>) -> Result<&'static str, ChatError> {
    Ok(vendor.region)
}

#[tokio::test]
async fn all_forms_of_closures() {
    let lb = vendors(&["up"]).await;
    let messages = vec!["hello".to_owned()];
    lb.execute("qwen-max", async |v: Picked<_>| v.chat(&messages).await).await.unwrap();
    let borrowed = &messages;
    lb.execute("qwen-max", |v| async move { v.chat(borrowed).await }).await.unwrap();
    lb.execute("qwen-max", |v| {
        let messages = messages.clone();
        async move { v.chat(&messages).await }
    })
    .await
    .unwrap();
    let mut attempts = 0;
    lb.execute("qwen-max", |v| {
        attempts += 1;
        async move { v.chat(borrowed).await }
    })
    .await
    .unwrap();
    assert_eq!(attempts, 1);
    assert_eq!(lb.execute("qwen-max", by_name).await.unwrap(), "eu");
}

#[tokio::test]
async fn a_call_can_be_spawned() {
    let lb = vendors(&["up"]).await;
    let task = {
        let lb = lb.clone();
        tokio::spawn(async move {
            let messages = vec!["spawned".to_owned()];
            lb.execute("qwen-max", async |v| v.chat(&messages).await).await
        })
    };
    assert_eq!(task.await.unwrap().unwrap(), "up says spawned");
    let service = lb.service("qwen-max");
    let options = CallOptions::new().deadline(Duration::from_secs(5));
    let task = tokio::spawn(async move {
        service.execute_with(options, |v| async move { v.chat(&["x".to_owned()]).await }).await
    });
    assert!(task.await.unwrap().is_ok());
}

#[tokio::test]
async fn the_users_own_error_comes_back() {
    let lb = vendors(&["up"]).await;
    let error = lb.execute("qwen-max", async |_| Err::<(), _>(ChatError::TooLong)).await.unwrap_err();
    assert!(matches!(error, Error::Unsuitable { .. }));
    assert_eq!(error.last_error(), Some(&ChatError::TooLong));
    let boxed: Box<dyn std::error::Error + Send + Sync> = error.into();
    assert_eq!(boxed.source().unwrap().to_string(), "TooLong");
}

fn parse(text: &str) -> Result<u32, std::io::Error> {
    text.parse().map_err(std::io::Error::other)
}

fn check(status: u16) -> Result<(), RequestError> {
    if status == 200 { Ok(()) } else { Err(RequestError::service(format!("status {status}"))) }
}

#[tokio::test]
async fn question_marks_work_inside() {
    let lb = vendors(&["up"]).await;
    let n = lb
        .execute("qwen-max", async |_| {
            check(200)?;
            Ok::<_, RequestError>(parse("42")?)
        })
        .await
        .unwrap();
    assert_eq!(n, 42);
}

/// The balancer as a field: one type parameter, no more.
struct App {
    lb: LoadBalancer<Vendor>,
}

impl App {
    async fn ask(&self, question: &str) -> Result<String, Error<ChatError>> {
        let messages = [question.to_owned()];
        self.lb.execute("qwen-max", async |v| v.chat(&messages).await).await
    }
}

#[tokio::test]
async fn the_balancer_is_a_field() {
    let app = App { lb: vendors(&["up"]).await };
    assert_eq!(app.ask("why").await.unwrap(), "up says why");
}

/// A response that streams: it holds its `Picked` until it ends.
struct Tokens {
    vendor: Picked<Vendor>,
    left: u32,
}

impl Tokens {
    fn next(&mut self) -> Option<String> {
        self.left = self.left.checked_sub(1)?;
        Some(format!("{}-{}", self.vendor.name, self.left))
    }
}

#[tokio::test]
async fn a_stream_holds_its_instance() {
    let lb = vendors(&["up"]).await;
    let mut tokens =
        lb.execute("qwen-max", async |vendor| Ok::<_, ChatError>(Tokens { vendor, left: 2 })).await.unwrap();
    assert_eq!(lb.stats("qwen-max").unwrap().instances[0].in_flight, 1);
    assert_eq!(
        (tokens.next().as_deref(), tokens.next().as_deref(), tokens.next()),
        (Some("up-1"), Some("up-0"), None)
    );
    drop(tokens);
    assert_eq!(lb.stats("qwen-max").unwrap().instances[0].in_flight, 0);
}

#[tokio::test]
async fn registries_behind_dyn_arc_and_box() {
    let memory = MemoryRegistry::new();
    memory.register("s", Vendor::new("up")).await.unwrap();
    let shared: std::sync::Arc<dyn ServiceRegistry<Vendor>> = std::sync::Arc::new(memory.clone());
    let boxed: Box<dyn ServiceRegistry<Vendor>> = Box::new(memory);
    for lb in [LoadBalancer::new(shared), LoadBalancer::new(boxed)] {
        lb.execute("s", async |v| v.chat(&[]).await).await.unwrap();
    }
}

#[test]
fn stats_are_json() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lb = vendors(&["up"]).await;
        lb.execute("qwen-max", async |v| v.chat(&[]).await).await.unwrap();
        let json = serde_json::to_value(lb.stats("qwen-max").unwrap()).unwrap();
        assert_eq!(json["strategy"], "round_robin");
        assert_eq!(json["freshness"]["state"], "live");
        assert_eq!(json["instances"][0]["id"], "up");
        assert_eq!(json["instances"][0]["requests"], 1);
    });
}
