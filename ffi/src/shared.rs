//! An open pool with its threads, shared by the pool's handle and by all that was made of it.

use std::cell::RefCell;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rclonepool_core::pool::OpenOptions;
use rclonepool_core::{Config, Error, ErrorKind, Monitor, Pool, Result};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio_util::sync::CancellationToken;

use crate::feed::{Feed, Outcome};

thread_local! {
    /// The pools whose callbacks run on this thread now, by address.
    static CALLING_BACK: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The work of an operation, on the pool's threads.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Outcome>> + Send>>;

/// An operation that has not begun.
pub(crate) type Task = Box<dyn FnOnce(Arc<Pool>, Monitor) -> Work + Send>;

/// Makes a task of a function.
pub(crate) fn task<F: Future<Output = Result<Outcome>> + Send + 'static>(
    work: impl FnOnce(Arc<Pool>, Monitor) -> F + Send + 'static,
) -> Task {
    Box::new(move |pool, monitor| Box::pin(work(pool, monitor)))
}

#[derive(Default)]
struct Usage {
    calls: usize,
    closed: bool,
}

pub(crate) struct Shared {
    pool: Arc<Pool>,
    handle: Handle,
    /// Until the pool is closed.
    runtime: Mutex<Option<Runtime>>,
    closing: CancellationToken,
    usage: Mutex<Usage>,
    idle: Condvar,
    /// Threads do not follow into a forked process.
    process: u32,
    /// How often and from which variance on the pool balances itself, where it does.
    pub balancing: Option<(std::time::Duration, f64)>,
}

/// A call or operation under way: the pool stays open meanwhile.
pub(crate) struct Call(Arc<Shared>);

impl Deref for Call {
    type Target = Arc<Pool>;

    fn deref(&self) -> &Self::Target {
        &self.0.pool
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.lock().calls -= 1;
        self.0.idle.notify_all();
    }
}

impl Call {
    /// Runs short work on this thread.
    pub fn block_on<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        self.0.handle.block_on(work)
    }
}

/// Says that a callback of a pool runs on this thread, until it is dropped.
pub(crate) struct CallingBack;

impl CallingBack {
    pub fn of(shared: &Arc<Shared>) -> Self {
        CALLING_BACK.with_borrow_mut(|pools| pools.push(Arc::as_ptr(shared) as usize));
        Self
    }
}

impl Drop for CallingBack {
    fn drop(&mut self) {
        CALLING_BACK.with_borrow_mut(|pools| pools.pop());
    }
}

/// The threads of one pool.
pub(crate) fn runtime(workers: usize) -> Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(workers)
        .thread_name("rclonepool")
        .enable_all()
        .build()
        .map_err(|e| Error::io("cannot start threads", e))
}

/// Fails on a thread of the library itself, where waiting would stop what is waited for.
pub(crate) fn refuse_own_thread() -> Result<()> {
    match Handle::try_current() {
        Ok(_) => Err(Error::new(ErrorKind::Busy, "a log callback, or a task of an async runtime, cannot call this")
            .hint("hand the work to a thread of your own")),
        Err(_) => Ok(()),
    }
}

impl Shared {
    /// Opens a pool with threads of its own.
    pub fn open(config: &Config, options: &OpenOptions, workers: usize) -> Result<Arc<Self>> {
        refuse_own_thread()?;
        let runtime = runtime(workers)?;
        let pool = runtime.block_on(Pool::open(config, options))?;
        let every = std::time::Duration::from_secs(config.health_check_interval.max(1));
        Ok(Arc::new(Self {
            pool,
            handle: runtime.handle().clone(),
            runtime: Mutex::new(Some(runtime)),
            closing: CancellationToken::new(),
            usage: Mutex::default(),
            idle: Condvar::new(),
            process: std::process::id(),
            balancing: config.auto_rebalance.then_some((every, config.rebalance_threshold)),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Usage> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a call.
    ///
    /// # Errors
    /// `InvalidArgument` when the pool is closed; `Unsupported` in a forked process; `Busy` on the library's own
    /// threads.
    pub fn enter(self: &Arc<Self>) -> Result<Call> {
        self.check_process()?;
        refuse_own_thread()?;
        let mut usage = self.lock();
        if usage.closed {
            return Err(Error::new(ErrorKind::InvalidArgument, "the pool is closed"));
        }
        usage.calls += 1;
        drop(usage);
        Ok(Call(self.clone()))
    }

    fn check_process(&self) -> Result<()> {
        if std::process::id() == self.process {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unsupported, "this process was forked after the pool was opened")
            .hint("open the pool anew in the child"))
    }

    /// Starts an operation on the pool's threads.
    ///
    /// # Errors
    /// As [`Shared::enter`].
    pub fn start(self: &Arc<Self>, task: Task) -> Result<Arc<Feed>> {
        let call = self.enter()?;
        let feed = Feed::new(&self.closing);
        let (told, monitor) = (feed.clone(), feed.monitor());
        self.handle.spawn(async move {
            // In a task of its own, so that a panic is an error.
            let work = tokio::spawn(task(Arc::clone(&call), monitor));
            let bug = |e| Err(Error::new(ErrorKind::Internal, format!("a bug in rclonepool: {e}")));
            let outcome = work.await.unwrap_or_else(bug);
            told.end(outcome);
            drop(call);
        });
        Ok(feed)
    }

    /// Cancels what runs, waits for its end, offers the last commits to slow remotes, and ends all threads.
    ///
    /// # Errors
    /// `Busy` from a callback of this pool or a thread of the library; `Unsupported` in a forked process.
    pub fn close(self: &Arc<Self>) -> Result<()> {
        self.check_process()?;
        refuse_own_thread()?;
        if self.is_calling_back() {
            return Err(Error::new(ErrorKind::Busy, "a callback cannot close the pool that called it")
                .hint("answer with a value that is not 0, and close the pool afterwards"));
        }
        let mut usage = self.lock();
        usage.closed = true;
        self.closing.cancel();
        while usage.calls > 0 {
            usage = self.idle.wait(usage).unwrap_or_else(PoisonError::into_inner);
        }
        drop(usage);
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.block_on(self.pool.close());
        }
        Ok(())
    }

    fn is_calling_back(self: &Arc<Self>) -> bool {
        CALLING_BACK.with_borrow(|pools| pools.contains(&(Arc::as_ptr(self) as usize)))
    }

    /// Closes a pool whose handle is gone, as well as can be done here.
    pub fn abandon(self: Arc<Self>) {
        if self.check_process().is_err() {
            // Its threads are in the other process: waiting for them would never end.
            std::mem::forget(self);
        } else if self.close().is_err() {
            // From a callback: the call that runs it must return first.
            let closing = std::thread::Builder::new().name("rclonepool-close".into());
            // Where no thread can be had, the pool stays open until the process ends.
            drop(closing.spawn(move || self.close()));
        }
    }
}
