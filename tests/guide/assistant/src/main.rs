use std::time::Duration;

use assistant::{Account, Api, ApiError, Assistant};
use loadbalance::prelude::*;

/// Stands for a client that speaks HTTP.
struct Pretend {
    works: bool,
}

impl Api for Pretend {
    async fn complete(&self, prompt: &str) -> Result<String, ApiError> {
        if self.works {
            Ok(format!("you said: {prompt}"))
        } else {
            Err(ApiError::Status { code: 429, retry_after: Some(Duration::from_secs(20)) })
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = MemoryRegistry::new();
    for (name, works) in [("aliyun", false), ("azure", true)] {
        registry.register("qwen-max", Account { name: name.into(), api: Pretend { works } }).await?;
    }

    let assistant = Assistant::new(LoadBalancer::new(registry));
    println!("{}", assistant.answer("hello").await?);
    Ok(())
}
