//! However the test process ends, nothing is left over.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lb_testkit::{Result, eventually, scratch_dir};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const SOON: Duration = Duration::from_secs(20);

/// A process that has a server running, with its temporary files in `directory`; and the server's process id.
async fn holder(kind: &str, directory: &Path) -> Result<(Child, u32)> {
    let mut holder = Command::new(env!("CARGO_BIN_EXE_testkit"))
        .arg(kind)
        .env("TMPDIR", directory)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(holder.stdout.take().expect("piped")).lines();
    let line =
        tokio::time::timeout(SOON, lines.next_line()).await.expect("it starts")?.expect("it says where");
    let pid = line.rsplit(' ').next().and_then(|pid| pid.parse().ok()).expect("it says which process");
    Ok((holder, pid))
}

fn lives(pid: u32) -> bool {
    // One that nobody has waited for yet is dead all the same.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains('Z'))
}

async fn nothing_is_left_after(kind: &str, signal: Signal) -> Result<()> {
    let directory = scratch_dir("leftovers")?;
    let (mut holder, server) = holder(kind, directory.path()).await?;
    assert!(lives(server));
    let inside = || std::fs::read_dir(directory.path()).map_or(0, Iterator::count);
    assert_eq!(inside(), 1);
    let pid = holder.id().and_then(|id| Pid::from_raw(id.cast_signed())).expect("it runs");
    kill_process(pid, signal).map_err(std::io::Error::from)?;
    holder.wait().await?;
    eventually("the server is dead", SOON, || (!lives(server)).then_some(())).await?;
    eventually("its files are gone", SOON, || (inside() == 0).then_some(())).await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_left_of_a_killed_test() -> Result<()> {
    nothing_is_left_after("redis", Signal::KILL).await?;
    nothing_is_left_after("etcd", Signal::KILL).await
}

#[tokio::test]
async fn nothing_is_left_after_ctrl_c() -> Result<()> {
    nothing_is_left_after("etcd", Signal::INT).await
}

#[tokio::test]
async fn nothing_is_left_of_a_terminated_test() -> Result<()> {
    nothing_is_left_after("redis", Signal::TERM).await
}
