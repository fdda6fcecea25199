//! A subscriber that keeps every event and span of the library.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};

/// One event, its fields as text; the message is the field `message`.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

impl Seen {
    pub(crate) fn field(&self, name: &str) -> &str {
        self.fields.get(name).unwrap_or_else(|| panic!("no field `{name}` in {self:?}"))
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<Seen>>>);

impl Capture {
    /// Captures what this thread emits for as long as the guard lives.
    pub(crate) fn start() -> (Self, DefaultGuard) {
        let capture = Self::default();
        let guard = tracing::subscriber::set_default(capture.clone());
        (capture, guard)
    }

    /// All events of the library so far, and forgets them.
    pub(crate) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// The events at a level, out of those so far.
    pub(crate) fn at(&self, level: Level) -> Vec<Seen> {
        self.take().into_iter().filter(|seen| seen.level == level).collect()
    }

    fn keep(&self, metadata: &'static Metadata<'static>, record: impl FnOnce(&mut Seen)) {
        let mut seen =
            Seen { level: *metadata.level(), target: metadata.target().to_owned(), fields: BTreeMap::new() };
        record(&mut seen);
        if seen.target.starts_with("lb_") || seen.target.starts_with("loadbalance") {
            self.0.lock().unwrap().push(seen);
        }
    }
}

impl Subscriber for Capture {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.keep(span.metadata(), |seen| span.record(seen));
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.keep(event.metadata(), |seen| event.record(seen));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
