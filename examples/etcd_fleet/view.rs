//! What the balancer sees, printed whenever it changes: [`View`].

use std::time::Duration;

use loadbalance::Instance;
use loadbalance::registry::{Snapshot, SnapshotWatch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::Result;

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct View {
    watch: SnapshotWatch<Instance>,
    start: Instant,
    printed: String,
}

impl View {
    pub(crate) fn new(watch: SnapshotWatch<Instance>) -> Self {
        Self { watch, start: Instant::now(), printed: String::new() }
    }

    /// Prints what changes until `seen` says yes.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        seen: impl Fn(&Snapshot<Instance>) -> bool,
    ) -> Result<()> {
        let found = timeout(PATIENCE, async {
            while !seen(&self.print()) {
                self.watch.changed().await?;
            }
            Ok(())
        });
        found.await.map_err(|_| format!("waited in vain until {what}"))?
    }

    /// Prints what changes for a while.
    pub(crate) async fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            self.print();
            if !matches!(timeout_at(end, self.watch.changed()).await, Ok(Ok(_))) {
                return;
            }
        }
    }

    fn print(&mut self) -> std::sync::Arc<Snapshot<Instance>> {
        let snapshot = self.watch.current();
        let entries: Vec<_> = snapshot
            .entries
            .iter()
            .map(|entry| format!("{} ({:?})", entry.id(), entry.state).to_lowercase())
            .collect();
        let config = snapshot.config.as_ref().map(|entry| entry.config.max_retries());
        let line = format!(
            "{:<44} retries {}, {:?}",
            entries.join(", "),
            config.map_or("by default".to_owned(), |n| n.to_string()),
            snapshot.freshness,
        );
        if line != self.printed {
            println!("[{:6.2} s] {line}", self.start.elapsed().as_secs_f64());
            self.printed = line;
        }
        snapshot
    }
}
