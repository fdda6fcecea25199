//! Running a server's own client to its end.

use std::time::Duration;

use tokio::process::Command;

use crate::error::{Error, Result};
use crate::locate::Tool;

/// What `tool` prints. An error if it fails or does not end within `bound`.
pub(crate) async fn output(
    tool: Tool,
    args: &[String],
    env: &[(&str, &str)],
    bound: Duration,
) -> Result<String> {
    let program = tool.locate().map_err(|missing| Error::new(missing.to_string()))?;
    let what = || format!("{} {}", tool.program(), args.join(" "));
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(env.iter().copied()).env("LC_ALL", "C");
    command.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let Ok(output) = tokio::time::timeout(bound, command.output()).await else {
        return Err(Error::new(format!("{}: no end within {bound:?}", what())));
    };
    let output = output.map_err(|error| Error::from(error).during(what()))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(printed);
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(format!("{}: {}: {} {}", what(), output.status, complaint.trim(), printed.trim())))
}
