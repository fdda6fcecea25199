//! A vendor: one endpoint with one key, as the application sees it. This is the type that is balanced over.

use std::time::Duration;

use loadbalance::prelude::*;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Url};
use serde::Serialize;

use crate::chat_error::ChatError;
use crate::key::Key;
use crate::prompts::Prompt;
use crate::reply::Reply;

/// One endpoint with one key.
#[derive(Clone, Debug)]
pub(crate) struct Vendor {
    pub(crate) id: String,
    /// Of the chat completions.
    pub(crate) url: Url,
    pub(crate) model: String,
    /// `None`: the endpoint wants none.
    pub(crate) key: Option<Key>,
    /// Whether to ask for a streamed answer.
    pub(crate) stream: bool,
    pub(crate) weight: u32,
    pub(crate) limits: Limits,
    pub(crate) quota_group: Option<String>,
    pub(crate) client: Client,
    /// How long it may be silent in the middle of a streamed answer.
    pub(crate) silence: Duration,
}

/// What the balancer needs to know of it.
impl ServiceInstance for Vendor {
    fn id(&self) -> &str {
        &self.id
    }
    fn address(&self) -> Option<&str> {
        Some(self.url.as_str())
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn limits(&self) -> Limits {
        self.limits
    }
    fn quota_group(&self) -> Option<&str> {
        self.quota_group.as_deref()
    }
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    messages: Vec<Message<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stream: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

impl Vendor {
    /// Asks the vendor. Returns when the answer is there or, if it is streamed, when its first piece is: up to then
    /// another vendor can take over without anybody having seen half an answer.
    pub(crate) async fn chat(&self, prompt: &Prompt) -> Result<Reply, ChatError> {
        let system = prompt.system.as_deref().map(|content| Message { role: "system", content });
        let user = Message { role: "user", content: &prompt.text };
        let request = Request {
            model: &self.model,
            messages: system.into_iter().chain([user]).collect(),
            max_tokens: prompt.max_tokens,
            stream: self.stream,
        };
        let mut call = self.client.post(self.url.clone()).json(&request);
        if let Some(key) = &self.key {
            call = call.header(AUTHORIZATION, key.header());
        }
        let response = call.send().await?;
        let status = response.status();
        if !status.is_success() {
            let headers = response.headers().clone();
            // The status says enough, should the body be cut off.
            let body = response.text().await.unwrap_or_default();
            let body = self.key.as_ref().map_or(body.clone(), |key| key.redact(&body));
            return Err(ChatError::from_answer(status.as_u16(), &headers, &body));
        }
        if self.stream { Reply::streamed(response, self.silence).await } else { Reply::whole(response).await }
    }
}
