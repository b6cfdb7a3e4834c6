//! A simulated machine: its remotes, its index, and a process that dies and begins again.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::actions;
use super::plan::{Action, MachinePlan};
use crate::error::{ErrorKind, Result};
use crate::id::PoolId;
use crate::index::Index;
use crate::pool::Pool;
use crate::remote::wrap::{LimitOptions, RetryOptions, StackOptions, TimeoutOptions, stack};
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};
use crate::testing::fault::{Crash, FaultRemote};
use crate::testing::history::{Slot, WatchRemote, Witness};
use crate::testing::world::{Clock, SimEnv, World};

/// What all machines of a simulation share.
#[derive(Debug)]
pub(super) struct Shared {
    pub world: World,
    pub pool: PoolId,
    pub slots: Vec<Arc<Slot>>,
    pub witness: Arc<Witness>,
    /// Local files lie below it.
    pub files: tempfile::TempDir,
    /// Whether listings may hide the newest objects.
    pub blurred: bool,
}

impl Shared {
    pub fn clock(&self) -> &Arc<Clock> {
        &self.world.clock
    }

    /// Writes a line of the history.
    pub fn line(&self, who: usize, text: &str) {
        self.witness.line(format_args!("machine {who}: {text}"));
    }
}

/// What a machine is told.
#[derive(Debug)]
pub(super) enum Command {
    Do(usize, Action),
    Crash {
        calls: u64,
        down_ms: u64,
        keep_index: bool,
    },
    Suspend(u64),
    Restart,
    /// Ends what it does and tells how it went.
    Finish(tokio::sync::oneshot::Sender<()>),
}

/// One life of one machine: from the start of its process to the end.
#[derive(Debug)]
pub(super) struct Life {
    pub crash: Arc<Crash>,
    killed: Notify,
    asleep_until_ms: AtomicU64,
    clock: Arc<Clock>,
}

impl Life {
    fn new(clock: Arc<Clock>) -> Arc<Self> {
        let (crash, killed, asleep_until_ms) = (Crash::never(), Notify::new(), AtomicU64::new(0));
        Arc::new(Self { crash, killed, asleep_until_ms, clock })
    }

    async fn awake(&self) {
        loop {
            let left = self.asleep_until_ms.load(Ordering::Relaxed).saturating_sub(self.clock.ms());
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left)).await;
        }
    }
}

/// A remote as one process sees it: silent for ever once that is dead, late while it sleeps.
#[derive(Debug)]
struct Seen {
    remote: SharedRemote,
    position: usize,
    life: Arc<Life>,
    witness: Arc<Witness>,
}

impl Seen {
    async fn answer<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.life.awake().await;
        let answer = call.await;
        self.life.awake().await;
        self.judge(answer).await
    }

    async fn judge<T>(&self, answer: Result<T>) -> Result<T> {
        if let Err(error) = &answer {
            if Crash::is_crash(error) || self.life.crash.happened() {
                self.life.killed.notify_one();
                return std::future::pending().await;
            }
            if error.kind() != ErrorKind::NotFound {
                self.witness.trouble(self.position);
            }
        }
        answer
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for Seen {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.answer(self.remote.put(name, body)).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let stream = self.answer(self.remote.get(name, range)).await?;
        let (position, life, witness) = (self.position, self.life.clone(), self.witness.clone());
        let seen = Arc::new(Self { remote: self.remote.clone(), position, life, witness });
        Ok(stream
            .then(move |piece| {
                let seen = seen.clone();
                async move { seen.judge(piece).await }
            })
            .boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.answer(self.remote.stat(name)).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.answer(self.remote.delete(name)).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.answer(self.remote.list(dir)).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.answer(self.remote.usage()).await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

/// A machine.
#[derive(Debug)]
pub(super) struct Machine {
    pub number: usize,
    pub shared: Arc<Shared>,
    plan: MachinePlan,
    env: Arc<SimEnv>,
    index: Arc<Index>,
    /// Counts the indexes it had.
    generation: u32,
}

type Storing = BTreeSet<(u32, &'static str)>;

/// What the operations of one process share.
#[derive(Debug)]
pub(super) struct Process {
    pub machine: usize,
    pub generation: u32,
    pub shared: Arc<Shared>,
    pub pool: Arc<Pool>,
    pub life: Arc<Life>,
    /// One change of names at a time, so that it is known who made which record.
    pub names: tokio::sync::Mutex<()>,
    storing: Mutex<Storing>,
}

impl Process {
    /// The contents that are being stored just now, and where.
    pub fn storing(&self) -> MutexGuard<'_, Storing> {
        self.storing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a process ended.
enum End {
    Killed,
    Restart,
    Finished(tokio::sync::oneshot::Sender<()>),
    Gone,
}

impl Machine {
    pub fn new(number: usize, plan: MachinePlan, shared: Arc<Shared>) -> Result<Self> {
        let env = shared.world.machine();
        env.set_skew(plan.skew_ms);
        Ok(Self { number, shared, plan, env, index: Arc::new(Index::in_memory()?), generation: 0 })
    }

    /// The remotes as a process of this machine sees them.
    fn remotes(&self, life: &Arc<Life>) -> Vec<SharedRemote> {
        let Shared { world, slots, witness, .. } = &*self.shared;
        let options = StackOptions {
            retry: self.plan.retries.then(RetryOptions::default),
            limit: LimitOptions::default(),
            timeout: TimeoutOptions { idle: Duration::from_secs(20), ..TimeoutOptions::default() },
            ..StackOptions::default()
        };
        let env: crate::env::SharedEnv = self.env.clone();
        let see = |(position, slot): (usize, &Arc<Slot>)| {
            let bare = WatchRemote::new(format!("m{position}:"), slot.clone(), witness.clone());
            let faults = world.faults.get(position).cloned()?;
            let faulty: SharedRemote = Arc::new(FaultRemote::new(Arc::new(bare), faults, life.crash.clone()));
            let (life, witness) = (life.clone(), witness.clone());
            let seen: SharedRemote = Arc::new(Seen { remote: faulty, position, life, witness });
            Some(stack(seen, &options, &env).0)
        };
        slots.iter().enumerate().filter_map(see).collect()
    }

    async fn open(&self, life: &Arc<Life>) -> Result<Arc<Pool>> {
        let remotes = self.remotes(life);
        self.shared.world.open_over(self.shared.pool, self.env.clone(), remotes, self.index.clone()).await
    }

    /// Obeys until it is told to finish.
    ///
    /// # Errors
    /// Those of making an index.
    pub async fn live(mut self, mut commands: mpsc::UnboundedReceiver<Command>) -> Result<()> {
        loop {
            let life = Life::new(self.shared.clock().clone());
            let mut back = (1000, true);
            let end = tokio::select! {
                biased;
                end = self.process(&life, &mut commands, &mut back) => end,
                () = life.killed.notified() => End::Killed,
            };
            match end {
                End::Killed => {
                    let (down_ms, keep_index) = back;
                    self.shared.line(self.number, if keep_index { "dies" } else { "dies, and its disk too" });
                    if !keep_index {
                        self.index = Arc::new(Index::in_memory()?);
                        self.generation += 1;
                    }
                    tokio::time::sleep(Duration::from_millis(down_ms)).await;
                }
                End::Restart => self.shared.line(self.number, "restarted"),
                End::Finished(sender) => {
                    let _ = sender.send(());
                    return Ok(());
                }
                End::Gone => return Ok(()),
            }
        }
    }

    /// Runs until it ends by itself; all its tasks end with it.
    async fn process(
        &self,
        life: &Arc<Life>,
        commands: &mut mpsc::UnboundedReceiver<Command>,
        back: &mut (u64, bool),
    ) -> End {
        let pool = loop {
            match self.open(life).await {
                Ok(pool) => break pool,
                Err(error) => {
                    self.shared.line(self.number, &format!("cannot open the pool: {error}"));
                    tokio::time::sleep(Duration::from_secs(5)).await;
                }
            }
        };
        let process = Arc::new(Process {
            machine: self.number,
            generation: self.generation,
            shared: self.shared.clone(),
            pool,
            life: life.clone(),
            names: tokio::sync::Mutex::new(()),
            storing: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        loop {
            let command = tokio::select! {
                biased;
                Some(done) = tasks.join_next() => {
                    self.check(done);
                    continue;
                }
                command = commands.recv() => command,
            };
            match command {
                Some(Command::Do(n, action)) => drop(tasks.spawn(actions::act(process.clone(), n, action))),
                Some(Command::Crash { calls, down_ms, keep_index }) => {
                    *back = (down_ms, keep_index);
                    life.crash.arm(calls);
                }
                Some(Command::Suspend(ms)) => {
                    life.asleep_until_ms.store(self.shared.clock().ms() + ms, Ordering::Relaxed);
                }
                Some(Command::Restart) => {
                    self.close(&process, &mut tasks).await;
                    return End::Restart;
                }
                Some(Command::Finish(sender)) => {
                    self.close(&process, &mut tasks).await;
                    return End::Finished(sender);
                }
                None => return End::Gone,
            }
        }
    }

    async fn close(&self, process: &Process, tasks: &mut JoinSet<()>) {
        let ended = tokio::time::timeout(Duration::from_secs(7200), async {
            while let Some(done) = tasks.join_next().await {
                self.check(done);
            }
            process.pool.close().await;
        });
        if ended.await.is_err() {
            self.shared.witness.broken("8 (nothing hangs)", format!("machine {} did not end in time", self.number));
        }
    }

    fn check(&self, done: std::result::Result<(), tokio::task::JoinError>) {
        if let Err(error) = done {
            self.shared.witness.broken("8 (no panic)", format!("machine {}: {error}", self.number));
        }
    }
}
