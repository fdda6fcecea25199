//! Everything that is logged, as text: [`Log`].

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A subscriber that keeps every field of every event and span, at every level, of every library. A clone shares it.
///
/// ```
/// use lb_testkit::Log;
///
/// let log = Log::default();
/// tracing::subscriber::with_default(log.clone(), || tracing::trace!(port = 6379, "connected"));
/// assert_eq!(log.text(), "message=connected\nport=6379\n");
/// log.must_not_have(&["hunter2"]);
/// ```
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<String>>);

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Log").finish_non_exhaustive()
    }
}

impl Log {
    /// What was logged so far: a line per field.
    pub fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what something looks like to who prints it.
    pub fn see(&self, what: &dyn fmt::Debug) {
        use fmt::Write;
        // Writing to a string does not fail.
        let _ = writeln!(self.0.lock().unwrap_or_else(PoisonError::into_inner), "{what:?}\n{what:#?}");
    }

    /// Makes sure that none of these texts is there.
    ///
    /// # Panics
    ///
    /// One is; says where.
    pub fn must_not_have(&self, secrets: &[&str]) {
        let text = self.text();
        for secret in secrets {
            if let Some(at) = text.find(secret) {
                let line = text[..at].matches('\n').count();
                let around: Vec<_> = text.lines().skip(line.saturating_sub(4)).take(6).collect();
                panic!("{secret} is printed:\n{}", around.join("\n"));
            }
        }
    }
}

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let _ = writeln!(self.0.lock().unwrap_or_else(PoisonError::into_inner), "{field}={value:?}");
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
