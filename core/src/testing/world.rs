//! A pool in memory: remotes that can be damaged, writers that can crash, clocks that can lie.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::fault::{Crash, FaultPlan, FaultRemote, Faults, SplitMix};
use crate::config::Chunker;
use crate::env::{Env, SharedEnv};
use crate::error::Result;
use crate::id::PoolId;
use crate::index::Index;
use crate::journal::{Journal, Limits, Rules};
use crate::pool::{Pool, Settings};
use crate::redundancy::Redundancy;
use crate::remote::SharedRemote;
use crate::remote::memory::{MemoryRemote, MemoryStore};
use crate::remote::wrap::{LimitOptions, LimitRemote};
use crate::stage::place::Strategy;

/// Simulated time, shared by all machines of a world.
#[derive(Debug, Default)]
pub struct Clock {
    passed_ms: AtomicU64,
    // The runtime's paused clock runs along, once it is followed.
    followed: OnceLock<tokio::time::Instant>,
}

impl Clock {
    /// Milliseconds since 1970.
    pub fn ms(&self) -> u64 {
        let slept = self.followed.get().map_or(Duration::ZERO, tokio::time::Instant::elapsed);
        START_MS + self.passed_ms.load(Ordering::Relaxed) + u64::try_from(slept.as_millis()).unwrap_or(0)
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.passed_ms.fetch_add(u64::try_from(time.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }

    /// Runs along with the runtime's clock from now on, which should be a paused one.
    pub fn follow_runtime(&self) {
        self.followed.get_or_init(tokio::time::Instant::now);
    }
}

/// Time and randomness of one simulated machine.
#[derive(Debug)]
pub struct SimEnv {
    clock: Arc<Clock>,
    /// How wrong this machine's wall clock is, in milliseconds.
    skew: AtomicI64,
    random: std::sync::Mutex<SplitMix>,
}

impl SimEnv {
    /// A machine of a world; `seed` makes its randomness.
    pub fn new(clock: Arc<Clock>, seed: u64) -> Arc<Self> {
        Arc::new(Self { clock, skew: AtomicI64::new(0), random: std::sync::Mutex::new(SplitMix(seed)) })
    }

    /// Makes its wall clock wrong.
    pub fn set_skew(&self, ms: i64) {
        self.skew.store(ms, Ordering::Relaxed);
    }
}

impl Env for SimEnv {
    fn wall_ms(&self) -> u64 {
        self.clock.ms().saturating_add_signed(self.skew.load(Ordering::Relaxed))
    }

    fn boot_ms(&self) -> u64 {
        self.clock.ms()
    }

    // Machines of a world are never started anew; only their indexes are.
    fn boot_id(&self) -> u128 {
        1
    }

    fn random(&self) -> u128 {
        let mut random = self.random.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        u128::from(random.bits()) << 64 | u128::from(random.bits())
    }
}

/// Remotes in memory, and a clock.
#[derive(Debug)]
pub struct World {
    /// What lies on each remote.
    pub stores: Vec<MemoryStore>,
    /// What goes wrong on each remote.
    pub faults: Vec<Arc<Faults>>,
    /// Simulated time.
    pub clock: Arc<Clock>,
    /// The settings of pools over it.
    pub settings: Settings,
    /// Transfers at a time on each remote; `None` for no limit.
    pub connections: Option<usize>,
    /// The rules that pools over it obey.
    pub rules: Rules,
    /// The limits that pools over it keep.
    pub limits: Limits,
    seed: u64,
    opened: AtomicU64,
}

/// When a world's clock starts: 2020-09-13.
pub const START_MS: u64 = 1_600_000_000_000;

/// Settings for small pools: chunks of `chunk_size` bytes, everything else as by default.
pub fn settings(redundancy: Redundancy, chunk_size: u64) -> Settings {
    Settings {
        data_prefix: "data".into(),
        manifest_prefix: "manifests".into(),
        chunk_size,
        redundancy,
        strategy: Strategy::LeastUsed,
        placement: std::collections::BTreeMap::new(),
        upload_workers: 4,
        download_workers: 4,
        memory_bytes: 512 << 20,
        temp_dir: None,
        commit_quorum: None,
        auto_heal: true,
        duplicate_detection: true,
        deduplication: false,
        chunker: Chunker::Fixed,
        trash_hours: 0,
        sole_writer: false,
        lifeboat: false,
        compression: None,
        file_hashes: Vec::new(),
        cache_bytes: 0,
        prefetch_bytes: 0,
        offer_timeout: Duration::from_secs(3600),
        health_check: Some(Duration::from_secs(3600)),
    }
}

impl World {
    /// A world of `n` empty remotes.
    pub fn new(n: usize, redundancy: Redundancy, chunk_size: u64, seed: u64) -> Self {
        Self {
            stores: (0..n).map(|_| MemoryStore::default()).collect(),
            faults: (0..n as u64).map(|i| Faults::new(seed ^ i << 32, FaultPlan::default())).collect(),
            clock: Arc::default(),
            settings: settings(redundancy, chunk_size),
            connections: None,
            rules: Rules::default(),
            limits: Limits::default(),
            seed,
            opened: AtomicU64::new(0),
        }
    }

    /// A new machine.
    pub fn machine(&self) -> Arc<SimEnv> {
        let n = self.opened.fetch_add(1, Ordering::Relaxed);
        SimEnv::new(self.clock.clone(), SplitMix(self.seed ^ n).bits())
    }

    /// The remotes, as a machine that crashes with `crash` sees them.
    pub fn remotes(&self, crash: &Arc<Crash>) -> Vec<SharedRemote> {
        let pairs = self.stores.iter().zip(&self.faults).enumerate();
        pairs
            .map(|(i, (store, faults))| {
                let bare: SharedRemote = Arc::new(MemoryRemote::on(format!("m{i}:"), store.clone()));
                let faulty: SharedRemote = Arc::new(FaultRemote::new(bare, faults.clone(), crash.clone()));
                match self.connections {
                    Some(large) => Arc::new(LimitRemote::new(faulty, &LimitOptions { small: large, large })),
                    None => faulty,
                }
            })
            .collect()
    }

    /// Makes the pool.
    ///
    /// # Errors
    /// Those of `init`.
    pub async fn init(&self) -> Result<PoolId> {
        self.init_over(&self.remotes(&Crash::never())).await
    }

    /// Makes the pool on a machine that sees these remotes.
    ///
    /// # Errors
    /// Those of `init`.
    pub async fn init_over(&self, remotes: &[SharedRemote]) -> Result<PoolId> {
        let env: SharedEnv = self.machine();
        Ok(crate::pool::make(&self.settings, remotes, None, &env, self.rules).await?.pool)
    }

    /// An empty remote more, which is no member yet.
    pub fn grow(&mut self) {
        self.faults.push(Faults::new(self.seed ^ (self.stores.len() as u64) << 32, FaultPlan::default()));
        self.stores.push(MemoryStore::default());
    }

    /// Takes the last remote, which `pool` was opened without, into the pool.
    ///
    /// # Errors
    /// Those of [`Pool::add_connected`].
    pub async fn join_last(&self, pool: &Pool) -> Result<()> {
        let joining = self.remotes(&Crash::never()).split_off(self.stores.len() - 1);
        pool.add_connected(&self.settings, &joining, true).await.map(drop)
    }

    /// Opens the pool on a new machine without local state.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn open(&self, pool: PoolId) -> Result<Arc<Pool>> {
        self.open_as(pool, self.machine(), &Crash::never(), Index::in_memory()?).await
    }

    /// Opens the pool on a given machine.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn open_as(
        &self,
        pool: PoolId,
        env: SharedEnv,
        crash: &Arc<Crash>,
        index: impl Into<Arc<Index>>,
    ) -> Result<Arc<Pool>> {
        self.open_over(pool, env, self.remotes(crash), index).await
    }

    /// Opens the pool on a given machine that sees these remotes.
    ///
    /// # Errors
    /// Those of opening.
    pub async fn open_over(
        &self,
        pool: PoolId,
        env: SharedEnv,
        remotes: Vec<SharedRemote>,
        index: impl Into<Arc<Index>>,
    ) -> Result<Arc<Pool>> {
        let mut journal = Journal::new(pool, &self.settings.manifest_prefix, remotes, index.into(), env.clone())?;
        journal.set_rules(self.rules);
        journal.set_limits(self.limits);
        Ok(Arc::new(Pool::over(journal, self.settings.clone(), env).await?))
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.pass(time);
    }
}
