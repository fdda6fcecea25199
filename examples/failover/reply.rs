//! The answer to a chat request: there as a whole, or arriving piece by piece.

use std::time::Duration;

use reqwest::Response;
use serde::Deserialize;
use serde_json::Value;

use crate::chat_error::ChatError;
use crate::sse::SseParser;

/// What the vendor answered.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// What it used of a quota counted in tokens, if the vendor says so.
    pub(crate) tokens: Option<u64>,
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) enum Reply {
    Whole(Answer),
    Streamed(Box<Stream>),
}

/// A streamed answer of which at least the first piece has arrived.
#[derive(Debug)]
pub(crate) struct Stream {
    response: Response,
    parser: SseParser,
    silence: Duration,
    answer: Answer,
    /// The vendor said that the answer is complete.
    complete: bool,
}

/// The parts that are used of a completion, or of one piece of it.
#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "delta")]
    message: Option<Content>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    content: Option<String>,
}

#[derive(Deserialize)]
struct Usage {
    total_tokens: Option<u64>,
}

impl Reply {
    pub(crate) async fn whole(response: Response) -> Result<Self, ChatError> {
        let completion: Completion = response.json().await?;
        let mut answer = Answer::default();
        if !answer.take(completion)? {
            return Err(ChatError::Broken("it has no `choices`".into()));
        }
        Ok(Self::Whole(answer))
    }

    pub(crate) async fn streamed(response: Response, silence: Duration) -> Result<Self, ChatError> {
        let (parser, answer) = (SseParser::default(), Answer::default());
        let mut stream = Box::new(Stream { response, parser, silence, answer, complete: false });
        while stream.answer.text.is_empty() && stream.advance().await? {}
        Ok(Self::Streamed(stream))
    }

    /// Awaits the rest.
    pub(crate) async fn finish(self) -> Result<Answer, ChatError> {
        match self {
            Self::Whole(answer) => Ok(answer),
            Self::Streamed(mut stream) => {
                while stream.advance().await? {}
                Ok(stream.answer)
            }
        }
    }
}

impl Stream {
    /// Takes in one event. `false`: that was the last one.
    async fn advance(&mut self) -> Result<bool, ChatError> {
        loop {
            match self.parser.next().as_deref() {
                Some("[DONE]") => return Ok(false),
                Some(event) => {
                    let piece = serde_json::from_str(event)
                        .map_err(|error| ChatError::Broken(format!("an event of the stream: {error}")))?;
                    self.complete |= self.answer.take(piece)?;
                    return Ok(true);
                }
                None => {}
            }
            let chunk = tokio::time::timeout(self.silence, self.response.chunk());
            match chunk.await.map_err(|_| ChatError::TimedOut)?? {
                Some(bytes) => self.parser.feed(&bytes),
                // Some vendors leave the [DONE] out.
                None if self.complete => return Ok(false),
                None => return Err(ChatError::Broken("the stream was cut off".into())),
            }
        }
    }
}

impl Answer {
    /// Adds a piece. `true`: the answer is complete.
    fn take(&mut self, piece: Completion) -> Result<bool, ChatError> {
        if let Some(error) = piece.error {
            return Err(ChatError::from_event(&error));
        }
        self.tokens = piece.usage.and_then(|usage| usage.total_tokens).or(self.tokens);
        let Some(choice) = piece.choices.into_iter().next() else { return Ok(false) };
        if choice.finish_reason.as_deref() == Some("content_filter") {
            return Err(ChatError::Filtered);
        }
        self.text.push_str(&choice.message.and_then(|message| message.content).unwrap_or_default());
        Ok(choice.finish_reason.is_some())
    }
}
