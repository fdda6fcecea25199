//! Running `redis-cli`.

use std::time::Duration;

use serde_json::Value;

use crate::command;
use crate::error::{Error, Result};
use crate::locate::Tool;
use crate::tls::Certificates;

/// Whom to ask, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    pub(super) port: u16,
    pub(super) certificates: Option<&'a Certificates>,
}

impl Target<'_> {
    async fn run(self, flags: &[&str], args: &[&str]) -> Result<String> {
        // `-e`: an error that the server answers is a failure.
        let mut all: Vec<String> = vec!["-e".into(), "-h".into(), "127.0.0.1".into(), "-p".into()];
        all.push(self.port.to_string());
        if let Some(certificates) = self.certificates {
            all.push("--tls".into());
            for (flag, path) in [
                ("--cacert", certificates.authority()),
                ("--cert", certificates.client()),
                ("--key", certificates.client_key()),
            ] {
                all.push(flag.into());
                all.push(path.display().to_string());
            }
        }
        all.extend(flags.iter().chain(args).map(|&arg| arg.to_owned()));
        command::output(Tool::RedisCli, &all, &[], Duration::from_secs(10)).await
    }

    /// What it prints, without the last line break.
    pub(super) async fn text(self, args: &[&str]) -> Result<String> {
        let printed = self.run(&[], args).await?;
        Ok(printed.strip_suffix('\n').unwrap_or(&printed).to_owned())
    }

    pub(super) async fn json(self, args: &[&str]) -> Result<Value> {
        let printed = self.run(&["--json"], args).await?;
        serde_json::from_str(&printed)
            .map_err(|error| Error::new(format!("redis-cli printed no JSON ({error}): {printed}")))
    }
}
