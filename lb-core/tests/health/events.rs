//! What operators read in the log.

use std::fmt;
use std::sync::{Arc, Mutex};

use lb_core::{Failure, Instance, SlowStart};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::lab::{Lab, SECOND, config, exact};

/// Collects events as lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        let name = field.name();
        let _ = if name == "message" {
            write!(self.0, " {value:?}")
        } else {
            write!(self.0, " {name}={value:?}")
        };
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        if *event.metadata().level() != Level::DEBUG || !line.0.contains("instance set applied") {
            self.0.lock().unwrap().push(line.0);
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn every_change_of_state_is_told() {
    let log = Log::default();
    tracing::subscriber::with_default(log.clone(), || {
        let lab = Lab::new(2, config(exact(), SlowStart::over(60 * SECOND)), 7);
        lab.fail("h0", 5);
        lab.fail("h1", 5);
        lab.ok("h1", 1);
        lab.wait(30 * SECOND);
        lab.request("h0", None);
        lab.fail("h1", 5);
        lab.request("h0", Some(Failure::rejected()));
        lab.set_more(2, "h9");
        lab.wait(60 * SECOND);
        let _ = lab.picked();
        let _ = Instance::new("x");
    });
    let told = log.0.lock().unwrap().join("\n");
    let expected = [
        "WARN instance ejected service=s instance=h0 reason=5 failures in a row time=30s",
        "WARN panic: too few instances are healthy service=s instances=2 ejected=1 failing=1 ejections_ignored=true",
        "INFO panic is over service=s instances=2 ejected=1",
        "INFO instance readmitted service=s instance=h0 reason=\"a request succeeded\"",
        "DEBUG slow start is over service=s instance=h0",
        "DEBUG slow start is over service=s instance=h9",
    ];
    for line in expected {
        assert!(told.contains(line), "{line:?} is not in\n{told}");
    }
}
