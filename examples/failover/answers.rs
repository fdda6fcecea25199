//! The answers file: one JSON object per line, written as the answers arrive.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::outcome::Outcome;
use crate::problem::Problem;

/// Where the answers go; nowhere, if no file was asked for.
#[derive(Debug)]
pub(crate) struct Answers {
    file: Option<(PathBuf, File)>,
    prompts: usize,
}

impl Answers {
    /// Creates the file before the first request is sent: an answer that cannot be kept should not be paid for. For
    /// the same reason a file that is there already is not written over.
    pub(crate) fn create(path: Option<&Path>, prompts: usize) -> Result<Self, Problem> {
        let create = |path: &Path| match File::create_new(path) {
            Ok(file) => Ok((path.to_owned(), file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Problem::new(format!(
                "{} exists already and is not written over; give --out another name, or remove it",
                path.display()
            ))),
            Err(error) => {
                Err(Problem::new(format!("cannot create {}: {error}; check --out", path.display())))
            }
        };
        Ok(Self { file: path.map(create).transpose()?, prompts })
    }

    pub(crate) fn write(&mut self, outcome: &Outcome) -> Result<(), Problem> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let vendor = outcome.calls.last().map(|call| &*call.vendor);
        let mut line = json!({
            "prompt": outcome.index % self.prompts,
            "request": outcome.index,
            "vendor": vendor,
            "attempts": outcome.calls.len(),
            "elapsed_ms": outcome.elapsed.as_millis() as u64,
        });
        match &outcome.answer {
            Ok(answer) => line["answer"] = answer.as_str().into(),
            Err(why) => line["error"] = why.as_str().into(),
        }
        // In one write, so that a run that is interrupted leaves whole lines.
        file.write_all(format!("{line}\n").as_bytes())
            .map_err(|error| Problem::new(format!("cannot write to {}: {error}", path.display())))
    }
}
