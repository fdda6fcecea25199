//! A server's process, and what can be done to it.

mod spawner;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Error, Result};
use crate::locate::Tool;

/// A server that can be killed, stopped, continued and started again with the same arguments. Killed when dropped, and
/// by the kernel when this process dies.
#[derive(Debug)]
pub struct Process {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Process {
    /// A process to be: what it prints goes to `log`, which is appended to.
    pub(crate) fn new(name: impl Into<String>, tool: Tool, args: Vec<String>, log: PathBuf) -> Result<Self> {
        let program = tool.locate().map_err(|missing| Error::new(missing.to_string()))?;
        Ok(Self { name: name.into(), program, args, env: Vec::new(), log, child: Mutex::new(None) })
    }

    /// Starts any other program, such as the test itself as a process that can be frozen. What it prints goes to
    /// `log`; its environment is `env`, and little else.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub fn of(
        program: PathBuf,
        args: impl IntoIterator<Item = impl Into<String>>,
        env: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
        log: PathBuf,
    ) -> Result<Self> {
        let name = program.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let args = args.into_iter().map(Into::into).collect();
        let env = env.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let process = Self { name, program, args, env, log, child: Mutex::new(None) };
        process.start()?;
        Ok(process)
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        running(&mut self.child())
    }

    /// Starts it; one that runs is killed first.
    pub(crate) fn start(&self) -> Result<()> {
        let mut child = self.child();
        if let Some(running) = child.take() {
            end(running);
        }
        let output = std::fs::File::options().create(true).append(true).open(&self.log)?;
        let mut command = tied_to_us(&self.program)?;
        command.args(&self.args).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // Neither its locale nor its settings come from whoever runs the tests.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C").current_dir("/");
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        let started = spawner::spawn(command).map_err(|error| Error::from(error).during(&self.name))?;
        *child = Some(started);
        Ok(())
    }

    /// `kill -9`, and waits until it is dead. A stopped process dies of it, too. Nothing to do if it is dead already.
    pub fn kill9(&self) {
        if let Some(running) = self.child().take() {
            end(running);
        }
    }

    /// SIGSTOP: its connections stay open, and nothing answers.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGTERM, and does not wait for the end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        let mut child = self.child();
        // Nobody waits for the child while we hold the lock, so the number is still its own.
        if let Some(pid) = running(&mut child).and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It may have died of itself since; then there is nothing to signal.
            let _ = kill_process(pid, signal);
        }
    }

    /// How it ended, if it ended of itself.
    pub fn exited(&self) -> Option<ExitStatus> {
        self.child().as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// The end of what it printed, for messages.
    pub fn log_tail(&self) -> String {
        tail(&self.log, 25)
    }

    /// Whether its log has `text` in it.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        std::fs::read(&self.log).is_ok_and(|log| String::from_utf8_lossy(&log).contains(text))
    }

    /// An error about this process, with the end of its log.
    pub(crate) fn error(&self, what: &str) -> Error {
        let ended = self.exited().map_or_else(String::new, |status| format!(" (it ended with {status})"));
        Error::new(format!("{}: {what}{ended}; its log ends with:\n{}", self.name, self.log_tail()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

fn running(child: &mut Option<Child>) -> Option<u32> {
    let child = child.as_mut()?;
    matches!(child.try_wait(), Ok(None)).then(|| child.id())
}

fn end(mut child: Child) {
    // Fails if it is dead already, which is what is wanted.
    let _ = child.kill();
    let _ = child.wait();
}

/// A command for `program` that the kernel kills when this process dies.
fn tied_to_us(program: &Path) -> Result<Command> {
    if !cfg!(target_os = "linux") {
        return Ok(Command::new(program));
    }
    let setpriv = Tool::Setpriv.locate().map_err(|missing| Error::new(missing.to_string()))?;
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    Ok(command)
}

fn tail(path: &Path, lines: usize) -> String {
    let Ok(bytes) = std::fs::read(path) else { return "(no log)".to_owned() };
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<_> = text.lines().collect();
    let shown = &all[all.len().saturating_sub(lines)..];
    format!("  | {}", shown.join("\n  | "))
}
