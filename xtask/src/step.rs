//! One step of a chore, and how it can fail.

use std::fmt;
use std::io;
use std::process::ExitStatus;

use crate::invocation::Invocation;

/// A named step. A name may be in a group: `test/cargo` is in `test`.
pub(crate) struct Step {
    name: String,
    tasks: Vec<Task>,
}

/// What a step consists of.
pub(crate) enum Task {
    /// Runs a command, which anyone can repeat.
    Run(Invocation),
    /// Does something in this process.
    Check(Check),
}

/// `Ok` says what was found to be good, `Err` each thing that is not.
pub(crate) type Check = Box<dyn FnOnce() -> Result<String, Vec<String>>>;

impl Step {
    /// A step of several tasks, in this order. All of them run, whichever fails.
    pub(crate) fn new(name: impl Into<String>, tasks: Vec<Task>) -> Self {
        Self { name: name.into(), tasks }
    }

    /// A step that runs one command.
    pub(crate) fn command(name: impl Into<String>, command: Invocation) -> Self {
        Self::new(name, vec![Task::Run(command)])
    }

    /// A step that is done in this process.
    pub(crate) fn check(
        name: impl Into<String>,
        check: impl FnOnce() -> Result<String, Vec<String>> + 'static,
    ) -> Self {
        Self::new(name, vec![Task::Check(Box::new(check))])
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs the step, and returns every failure in it.
    pub(crate) fn run(self) -> Vec<StepFailure> {
        let count = self.tasks.len();
        let mut failures = Vec::new();
        for (i, task) in self.tasks.into_iter().enumerate() {
            let place = if count > 1 { format!("({}/{count}) ", i + 1) } else { String::new() };
            match task {
                Task::Run(command) => {
                    println!("   {place}{command}");
                    failures.extend(run_command(command).err());
                }
                Task::Check(check) => match check() {
                    Ok(found) => println!("   {place}{found}"),
                    Err(problems) => failures.extend(problems.into_iter().map(|problem| {
                        println!("   {place}{problem}");
                        StepFailure::Check { step: self.name.clone(), problem }
                    })),
                },
            }
        }
        failures
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Step").field("name", &self.name).finish_non_exhaustive()
    }
}

fn run_command(command: Invocation) -> Result<(), StepFailure> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(StepFailure::Command { command, status }),
        Err(source) => Err(StepFailure::NotStarted { command, source }),
    }
}

/// One thing that went wrong in a step.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepFailure {
    #[error("ended with {status}; by hand: {command}")]
    Command { command: Invocation, status: ExitStatus },
    #[error("did not start ({source}); by hand: {command}")]
    NotStarted { command: Invocation, source: io::Error },
    #[error("{problem}; by hand: cargo xtask ci --only {step}")]
    Check { step: String, problem: String },
}
