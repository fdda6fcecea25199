//! The servers that the tests run: finding them, and installing those that are missing.
//!
//! A registry is tested against real etcd and Redis processes. Where they are not installed, and this is a Debian or
//! Ubuntu on which we may install something, they are; else the step says what is missing and how to get it. No service
//! is started by that: the tests start their own servers, on ports of their own.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::locate::{Missing, Tool};
use crate::step::Step;

/// Older ones lack what the tests use.
const OLDEST: [(Tool, Version); 4] = [
    (Tool::Etcd, Version(3, 4)),
    (Tool::Etcdctl, Version(3, 4)),
    (Tool::RedisServer, Version(7, 0)),
    (Tool::RedisCli, Version(7, 0)),
];

/// Run by a shell as root, with the packages as arguments. A policy that forbids to start services holds while the
/// packages are installed, unless the machine has one of its own.
const INSTALL: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update || echo "the package lists could not be brought up to date; those at hand are used" >&2
apt-get install -y --no-install-recommends "$@"
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32);

/// How one may install here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rights {
    Root,
    Sudo,
    None,
}

pub(crate) fn step() -> Step {
    Step::check("test/servers", ready)
}

fn ready() -> Result<String, Vec<String>> {
    let missing = missing();
    if missing.iter().any(|missing| missing.named.is_some()) {
        return Err(missing.iter().map(ToString::to_string).collect());
    }
    if !missing.is_empty() {
        let packages = packages(&missing);
        println!("   not found: {}", names(&missing));
        match rights() {
            Rights::None => return Err(by_hand(&missing)),
            rights => install(rights, &packages)?,
        }
    }
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for tool in needed() {
        match described(tool) {
            Ok(description) => found.push(description),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found.join("; ")) } else { Err(problems) }
}

/// Only Linux has a way, and a need, to tie the servers' lives to ours from outside.
fn needed() -> impl Iterator<Item = Tool> {
    Tool::ALL.into_iter().filter(|&tool| tool != Tool::Setpriv || cfg!(target_os = "linux"))
}

fn missing() -> Vec<Missing> {
    needed().filter_map(|tool| tool.locate().err()).collect()
}

fn names(missing: &[Missing]) -> String {
    missing.iter().map(|missing| missing.tool.program()).collect::<Vec<_>>().join(", ")
}

fn packages(missing: &[Missing]) -> Vec<&'static str> {
    missing.iter().map(|missing| missing.tool.package()).collect()
}

fn by_hand(missing: &[Missing]) -> Vec<String> {
    let all = format!("as root: apt-get update && apt-get install {}", packages(missing).join(" "));
    missing.iter().map(ToString::to_string).chain([all]).collect()
}

fn rights() -> Rights {
    if !Path::new("/usr/bin/apt-get").exists() {
        Rights::None
    } else if printed(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        Rights::Root
    } else if succeeds(Command::new("sudo").args(["-n", "true"])) {
        Rights::Sudo
    } else {
        Rights::None
    }
}

fn install(rights: Rights, packages: &[&str]) -> Result<(), Vec<String>> {
    let mut command = match rights {
        Rights::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "sh"]);
            sudo
        }
        Rights::Root | Rights::None => Command::new("sh"),
    };
    println!("   installing {} with apt-get", packages.join(", "));
    let status = command.args(["-c", INSTALL, "install"]).args(packages).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(vec![format!("installing {} ended with {status}", packages.join(", "))]),
        Err(error) => Err(vec![format!("no shell to install with: {error}")]),
    }
}

/// Where it is and what it calls itself, if it is new enough.
fn described(tool: Tool) -> Result<String, String> {
    let path = tool.locate().map_err(|missing| missing.to_string())?;
    let flag = if tool == Tool::Etcdctl { "version" } else { "--version" };
    let text = printed(Command::new(&path).arg(flag).env("ETCDCTL_API", "3"))
        .map_err(|error| format!("{} {flag}: {error}", path.display()))?;
    let version = text.lines().next().unwrap_or_default().trim();
    // Redis tells a lot about its build.
    let version = version.split(" sha=").next().unwrap_or_default();
    let oldest = OLDEST.iter().find(|(named, _)| *named == tool).map(|&(_, oldest)| oldest);
    if let Some(Version(major, minor)) = oldest
        && parsed(version) < oldest
    {
        return Err(format!(
            "{} is `{version}`, and the tests need {major}.{minor} or newer; set {} to such a one",
            path.display(),
            tool.variable()
        ));
    }
    Ok(format!("{} ({version})", path.display()))
}

/// The first two numbers of the first word that begins with a digit, a leading `v=` aside.
fn parsed(text: &str) -> Option<Version> {
    text.split_whitespace().map(|word| word.trim_start_matches("v=")).find_map(|word| {
        let mut parts = word.split('.');
        Some(Version(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(output.status.to_string())
    }
}

fn succeeds(command: &mut Command) -> bool {
    printed(command).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_servers_print_them() {
        for (text, version) in [
            ("etcd Version: 3.4.23", Version(3, 4)),
            ("etcdctl version: 3.5.0", Version(3, 5)),
            ("Redis server v=7.0.15", Version(7, 0)),
            ("redis-cli 7.2.4 (git:abc)", Version(7, 2)),
        ] {
            assert_eq!(parsed(text), Some(version), "{text}");
        }
        assert_eq!(parsed("no version"), None);
        assert!(parsed("no version") < Some(Version(0, 0)), "what says nothing is too old");
    }

    #[test]
    fn what_is_missing_is_named_with_one_command_for_all() {
        let problems = by_hand(&[Tool::Etcd, Tool::RedisCli].map(|tool| Missing { tool, named: None }));
        assert!(problems[0].contains("`etcd`") && problems[1].contains("`redis-cli`"), "{problems:?}");
        assert_eq!(problems[2], "as root: apt-get update && apt-get install etcd-server redis-tools");
    }
}
