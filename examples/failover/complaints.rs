//! Vendors that somebody has to look at, because they cannot be reached or cannot serve anybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use loadbalance::prelude::*;

use crate::chat_error::ChatError;
use crate::progress::Notes;

/// The last complaint about each vendor. Each kind is told of once, when it first occurs.
#[derive(Clone, Debug)]
pub(crate) struct Complaints {
    notes: Notes,
    about: Arc<Mutex<BTreeMap<(String, &'static str), String>>>,
}

impl Complaints {
    pub(crate) fn new(notes: Notes) -> Self {
        Self { notes, about: Arc::default() }
    }

    /// Takes in every error; most are nobody's business, for the balancer deals with them.
    pub(crate) fn note(&self, vendor: &str, error: &ChatError) {
        let what = match error.classify().kind() {
            FailureKind::Unusable => "is set aside",
            FailureKind::Unreachable => "cannot be reached",
            _ => return,
        };
        let mut about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        if about.insert((vendor.to_owned(), what), error.to_string()).is_none() {
            self.notes.say(&format!("  {vendor} {what}: {error}"));
        }
    }

    /// All of them, one per line.
    pub(crate) fn lines(&self) -> String {
        let about = self.about.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> =
            about.iter().map(|((vendor, what), why)| format!("  {vendor} {what}: {why}")).collect();
        lines.join("\n")
    }
}
