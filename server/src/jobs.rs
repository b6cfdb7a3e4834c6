//! Long operations: each runs by itself, can be watched and cancelled, and is remembered for a while.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use parking_lot::Mutex;
use rclonepool_core::monitor::Event;
use rclonepool_core::{Error, ErrorKind, Monitor, Result};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::hex;
use crate::hub::{Hub, Topic, now};
use crate::problem::Problem;

/// How many run at once.
const RUNNING_MAX: usize = 16;
/// How many that have ended are remembered.
const HISTORY_MAX: usize = 200;
/// How many notices of one job are kept: the first ones.
const NOTICES_MAX: usize = 100;
/// Progress is told at most so often.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// It is under way.
    Running,
    /// It did what was asked.
    Done,
    /// It failed; `error` says why.
    Failed,
    /// It was cancelled.
    Cancelled,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct JobProgress {
    /// Bytes done.
    pub bytes: u64,
    /// Bytes known to be ahead, done ones included.
    pub bytes_total: u64,
    /// Items done: chunks, shards or files.
    pub items: u64,
    /// Items known to be ahead, done ones included.
    pub items_total: u64,
}

/// A job, as it is told.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct JobInfo {
    /// Names it.
    pub id: String,
    /// What it does: `upload`, `verify`, `repair`, `rebuild`, `rebalance`, `drain`, `gc`, …
    #[schema(example = "verify")]
    pub kind: String,
    /// What it does that to: a path or a remote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who started it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Where it stands.
    pub state: JobState,
    /// When it began.
    pub started: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// How far it is.
    pub progress: JobProgress,
    /// What is worth knowing about it.
    pub notices: Vec<String>,
    /// What it came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub result: Option<Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// See [`JobInfo::kind`].
    pub kind: &'static str,
    /// See [`JobInfo::subject`].
    pub subject: Option<String>,
    /// See [`JobInfo::user`].
    pub user: Option<Arc<str>>,
    /// Where its progress is told.
    pub topic: Option<Topic>,
}

/// A job.
#[derive(Debug)]
pub struct Job {
    info: Mutex<JobInfo>,
    bytes: AtomicU64,
    items: AtomicU64,
    cancel: CancellationToken,
    ended: watch::Sender<bool>,
}

impl Job {
    /// It, as it is now.
    pub fn info(&self) -> JobInfo {
        let mut info = self.info.lock().clone();
        (info.progress.bytes, info.progress.items) = (self.bytes.load(Relaxed), self.items.load(Relaxed));
        info
    }

    /// Asks it to stop.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Whether it has ended, within a time.
    pub async fn ends_within(&self, limit: Duration) -> bool {
        let mut ended = self.ended.subscribe();
        tokio::time::timeout(limit, ended.wait_for(|ended| *ended)).await.is_ok()
    }
}

/// The jobs of one pool, the newest last.
#[derive(Debug)]
pub struct Jobs {
    hub: Arc<Hub>,
    jobs: Mutex<Vec<Arc<Job>>>,
    running: TaskTracker,
    stop: CancellationToken,
}

impl Jobs {
    /// None yet; they tell their progress to `hub`.
    pub fn new(hub: Arc<Hub>) -> Self {
        Self { hub, jobs: Mutex::default(), running: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Starts a job.
    ///
    /// # Errors
    /// `RateLimited` when too many are under way; `Unavailable` when the server stops.
    pub fn start<F, Fut>(&self, order: Order, work: F) -> Result<Arc<Job>>
    where
        F: FnOnce(Monitor) -> Fut,
        Fut: Future<Output = Result<Value>> + Send + 'static,
    {
        if self.stop.is_cancelled() {
            return Err(Error::new(ErrorKind::Unavailable, "the server stops"));
        }
        let job = Arc::new(Job {
            info: Mutex::new(JobInfo {
                id: hex(&crate::auth::random()?[..16]),
                kind: order.kind.into(),
                subject: order.subject.clone(),
                user: order.user.as_deref().map(str::to_owned),
                state: JobState::Running,
                started: now(),
                ended: None,
                progress: JobProgress::default(),
                notices: Vec::new(),
                result: None,
                error: None,
            }),
            bytes: AtomicU64::new(0),
            items: AtomicU64::new(0),
            cancel: self.stop.child_token(),
            ended: watch::Sender::new(false),
        });
        {
            let mut jobs = self.jobs.lock();
            if jobs.iter().filter(|job| !*job.ended.borrow()).count() >= RUNNING_MAX {
                return Err(Error::new(ErrorKind::RateLimited, format!("{RUNNING_MAX} jobs are under way"))
                    .hint("wait until one has ended, or cancel one"));
            }
            if jobs.len() >= HISTORY_MAX + RUNNING_MAX
                && let Some(at) = jobs.iter().position(|job| *job.ended.borrow())
            {
                jobs.remove(at);
            }
            jobs.push(job.clone());
        }
        let monitor = Monitor::new(listener(job.clone(), self.hub.clone(), order.topic), job.cancel.clone());
        let working = work(monitor);
        let (task_job, hub) = (job.clone(), self.hub.clone());
        tell(&hub, order.topic, &job);
        self.running.spawn(async move {
            let job = task_job;
            // What ignores its monitor is dropped.
            let done = tokio::select! {
                biased;
                done = AssertUnwindSafe(working).catch_unwind() => done.unwrap_or_else(|_| {
                    tracing::error!("a job met a bug in rclonepool");
                    Err(Error::new(ErrorKind::Internal, "a bug in rclonepool"))
                }),
                () = late(&job.cancel) => Err(Error::new(ErrorKind::Cancelled, "cancelled")),
            };
            {
                let mut info = job.info.lock();
                info.ended = Some(now());
                match done {
                    Ok(result) => (info.state, info.result) = (JobState::Done, Some(result)),
                    Err(error) if error.kind() == ErrorKind::Cancelled => info.state = JobState::Cancelled,
                    Err(error) => (info.state, info.error) = (JobState::Failed, Some(error.into())),
                }
            }
            tell(&hub, order.topic, &job);
            job.ended.send_replace(true);
        });
        Ok(job)
    }

    /// All that are remembered, the newest first.
    pub fn list(&self) -> Vec<JobInfo> {
        let jobs = self.jobs.lock().clone();
        jobs.iter().rev().map(|job| job.info()).collect()
    }

    /// A job by its id.
    pub fn find(&self, id: &str) -> Option<Arc<Job>> {
        self.jobs.lock().iter().find(|job| job.info.lock().id == id).cloned()
    }

    /// How many are under way.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Lets those under way end within a time, then cancels them; returns when all have ended.
    pub async fn close(&self, limit: Duration) {
        self.running.close();
        if tokio::time::timeout(limit, self.running.wait()).await.is_err() {
            self.stop.cancel();
            self.running.wait().await;
        }
        self.stop.cancel();
    }
}

/// What was cancelled has a moment to end by itself.
async fn late(cancel: &CancellationToken) {
    cancel.cancelled().await;
    tokio::time::sleep(Duration::from_secs(5)).await;
}

fn listener(job: Arc<Job>, hub: Arc<Hub>, topic: Option<Topic>) -> rclonepool_core::monitor::Listener {
    let told = Mutex::new(Instant::now());
    Arc::new(move |event| {
        match event {
            Event::Total { bytes, items } => {
                let mut info = job.info.lock();
                (info.progress.bytes_total, info.progress.items_total) = (*bytes, *items);
            }
            Event::Progress { bytes, items } => {
                job.bytes.fetch_add(*bytes, Relaxed);
                job.items.fetch_add(*items, Relaxed);
                let mut told = told.lock();
                if told.elapsed() < TOLD_EVERY {
                    return;
                }
                *told = Instant::now();
            }
            Event::FileFailed { path, error } => job.note(format!("{path}: {error}")),
            Event::Notice { message } => job.note(message.clone()),
            _ => return,
        }
        tell(&hub, topic, &job);
    })
}

impl Job {
    fn note(&self, notice: String) {
        let mut info = self.info.lock();
        if info.notices.len() < NOTICES_MAX {
            info.notices.push(notice);
        }
    }
}

fn tell(hub: &Hub, topic: Option<Topic>, job: &Job) {
    let Some(topic) = topic else { return };
    let info = job.info();
    hub.tell(
        topic,
        json!({
            "job": info.id, "kind": info.kind, "subject": info.subject, "state": info.state, "progress": info.progress,
            "result": info.result, "error": info.error,
        }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(kind: &'static str) -> Order {
        Order { kind, subject: None, user: None, topic: Some(Topic::Verification) }
    }

    #[tokio::test]
    async fn jobs_end_fail_and_are_cancelled() {
        let hub = Arc::new(Hub::default());
        let mut events = hub.listen();
        let jobs = Jobs::new(hub);
        let done = jobs
            .start(order("verify"), |monitor| async move {
                monitor.event(&Event::Total { bytes: 10, items: 1 });
                monitor.progress(10, 1);
                monitor.notice("look");
                Ok(json!({"files": 1}))
            })
            .unwrap();
        assert!(done.ends_within(Duration::from_secs(5)).await);
        let info = done.info();
        assert_eq!((info.state, info.progress.bytes, info.progress.items_total), (JobState::Done, 10, 1));
        assert_eq!((info.result.unwrap()["files"].clone(), info.notices.as_slice()), (json!(1), &["look".into()][..]));
        assert!(events.try_recv().unwrap().text.contains("\"verification\""));

        let failed = jobs.start(order("gc"), |_| async { Err(Error::new(ErrorKind::Full, "full")) }).unwrap();
        assert!(failed.ends_within(Duration::from_secs(5)).await);
        assert_eq!(failed.info().error.unwrap().code, "full");

        let broken = jobs.start(order("gc"), |_| async { panic!("a bug") }).unwrap();
        assert!(broken.ends_within(Duration::from_secs(5)).await);
        assert_eq!(broken.info().error.unwrap().code, "internal");

        let endless = |monitor: Monitor| async move { monitor.run(std::future::pending()).await };
        let hung = jobs.start(order("drain"), endless).unwrap();
        assert!(!hung.ends_within(Duration::from_millis(10)).await);
        assert_eq!(jobs.running(), 1);
        jobs.find(&hung.info().id).unwrap().cancel();
        assert!(hung.ends_within(Duration::from_secs(5)).await);
        assert_eq!(hung.info().state, JobState::Cancelled);
        let kinds: Vec<String> = jobs.list().into_iter().map(|info| info.kind).collect();
        assert_eq!(kinds, ["drain", "gc", "gc", "verify"]);

        for _ in 0..RUNNING_MAX {
            jobs.start(order("drain"), endless).unwrap();
        }
        assert_eq!(jobs.start(order("drain"), endless).unwrap_err().kind(), ErrorKind::RateLimited);
        jobs.close(Duration::from_millis(10)).await;
        assert!(jobs.list().iter().all(|info| info.state != JobState::Running));
        assert_eq!(jobs.start(order("drain"), endless).unwrap_err().kind(), ErrorKind::Unavailable);
    }
}
