//! Calls whoever is there, without a pause: [`Caller`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use loadbalance::prelude::*;
use tokio::task::JoinHandle;

use crate::member::ask;
use crate::{Result, SERVICE};

pub(crate) struct Caller {
    end: Arc<AtomicBool>,
    task: JoinHandle<Report>,
}

#[derive(Default)]
pub(crate) struct Report {
    answered: BTreeMap<String, u64>,
    pub(crate) failed: u64,
}

impl Caller {
    pub(crate) fn start(lb: LoadBalancer<Instance>) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let end = Arc::clone(&end);
            async move {
                let mut report = Report::default();
                while !end.load(Ordering::Relaxed) {
                    match lb.execute(SERVICE, async |instance| ask(&instance).await).await {
                        Ok(greeting) => *report.answered.entry(greeting).or_default() += 1,
                        Err(error) => {
                            eprintln!("a call failed: {error}");
                            report.failed += 1;
                        }
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                report
            }
        });
        Self { end, task }
    }

    pub(crate) async fn finish(self) -> Result<Report> {
        self.end.store(true, Ordering::Relaxed);
        Ok(self.task.await?)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (greeting, times) in &self.answered {
            writeln!(f, "{greeting:<14} {times:>6} times")?;
        }
        write!(f, "failed calls   {:>6}", self.failed)
    }
}
