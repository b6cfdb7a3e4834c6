//! Watching the pool's health in long-lived processes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::{FileState, HealthOptions, HealthReport, VerifyLevel, VerifyOptions};
use crate::error::{ErrorKind, Result};
use crate::monitor::{Event, Monitor};
use crate::pool::Pool;

/// The watch over a pool; ends when it is dropped, when the pool is closed or dropped, and when its monitor is
/// cancelled.
#[derive(Debug)]
pub struct HealthWatch {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl HealthWatch {
    /// Ends the watch; returns when it has ended.
    pub async fn stop(self) {
        self.stop.cancel();
        self.ended().await;
    }

    /// Waits until the watch has ended.
    pub async fn ended(self) {
        // It can only have been cancelled or have panicked, and is over in either case.
        let _ = self.task.await;
    }
}

impl Pool {
    /// Checks the pool's health at once and then at every interval of the settings: a quick verification, then
    /// the health. Reports [`Event::Health`] the first time and whenever it has changed, and a notice
    /// when a check fails. `None` where the settings say that health is not watched.
    pub fn watch_health(self: &Arc<Self>, monitor: &Monitor) -> Option<HealthWatch> {
        let interval = self.settings.health_check?;
        let stop = self.closing.child_token();
        let watch = watch(Arc::downgrade(self), interval, monitor.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stopped.cancelled() => {}
                () = watch => {}
            }
        });
        Some(HealthWatch { stop, task: AbortOnDropHandle::new(task) })
    }

    async fn check_health(&self, monitor: &Monitor) -> Result<HealthReport> {
        // Its progress is nobody's.
        let options = VerifyOptions { level: VerifyLevel::Quick, list: 0, ..VerifyOptions::default() };
        monitor.run(self.verify(&options, &Monitor::default())).await?;
        if !self.index.findings()?.is_empty() {
            self.noticed.notify_one();
        }
        monitor.run(self.health(&HealthOptions { list: 0, ..HealthOptions::default() })).await
    }
}

async fn watch(pool: Weak<Pool>, interval: Duration, monitor: Monitor) {
    let (mut told, mut failed): (Option<Event>, Option<String>) = (None, None);
    loop {
        let Some(pool) = pool.upgrade() else { return };
        let checked = pool.check_health(&monitor).await;
        drop(pool);
        match checked {
            Ok(report) => {
                failed = None;
                let event = event(&report);
                if told.as_ref() != Some(&event) {
                    monitor.event(&event);
                    told = Some(event);
                }
            }
            Err(error) if error.kind() == ErrorKind::Cancelled => return,
            Err(error) => {
                let why = format!("the pool's health could not be checked: {error}");
                if failed.as_ref() != Some(&why) {
                    monitor.notice(&why);
                    failed = Some(why);
                }
            }
        }
        let slept = monitor.run(async {
            tokio::time::sleep(interval).await;
            Ok(())
        });
        if slept.await.is_err() {
            return;
        }
    }
}

fn event(report: &HealthReport) -> Event {
    let named = |wanted: fn(&super::RemoteHealth) -> bool| {
        report.remotes.iter().filter(|remote| wanted(remote)).map(|remote| remote.name.clone()).collect()
    };
    Event::Health {
        state: report.state,
        recoverable: report.state != FileState::Lost,
        files: report.files,
        shards: report.shards,
        tolerated_remotes: report.tolerated_remotes,
        tolerated_domains: report.tolerated_domains,
        offline: named(|remote| remote.online == Some(false)),
        suspect: named(|remote| remote.suspect.is_some()),
    }
}
