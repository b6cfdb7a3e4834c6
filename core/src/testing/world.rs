//! A pool in memory: remotes that can be damaged, writers that can crash, clocks that can lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::fault::{Crash, FaultPlan, FaultRemote, Faults, SplitMix};
use crate::env::{Env, SharedEnv};
use crate::error::Result;
use crate::id::PoolId;
use crate::index::Index;
use crate::pool::{Pool, Settings};
use crate::redundancy::Redundancy;
use crate::remote::SharedRemote;
use crate::remote::memory::{MemoryRemote, MemoryStore};
use crate::remote::wrap::{LimitOptions, LimitRemote};
use crate::stage::place::Strategy;

/// Time and randomness of one simulated machine.
#[derive(Debug)]
pub struct SimEnv {
    /// Milliseconds of simulated time, shared by all machines.
    now: Arc<AtomicU64>,
    /// How wrong this machine's wall clock is, in milliseconds.
    skew: AtomicI64,
    random: std::sync::Mutex<SplitMix>,
}

impl SimEnv {
    /// A machine of a world; `seed` makes its randomness.
    pub fn new(now: Arc<AtomicU64>, seed: u64) -> Arc<Self> {
        Arc::new(Self { now, skew: AtomicI64::new(0), random: std::sync::Mutex::new(SplitMix(seed)) })
    }

    /// Makes its wall clock wrong.
    pub fn set_skew(&self, ms: i64) {
        self.skew.store(ms, Ordering::Relaxed);
    }
}

impl Env for SimEnv {
    fn wall_ms(&self) -> u64 {
        self.now.load(Ordering::Relaxed).saturating_add_signed(self.skew.load(Ordering::Relaxed))
    }

    fn boot_ms(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
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
    /// Simulated time in milliseconds.
    pub now: Arc<AtomicU64>,
    /// The settings of pools over it.
    pub settings: Settings,
    /// Transfers at a time on each remote; `None` for no limit.
    pub connections: Option<usize>,
    seed: u64,
    opened: AtomicU64,
}

/// When a world's clock starts: 2020-09-13.
const START_MS: u64 = 1_600_000_000_000;

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
        duplicate_detection: true,
        file_hashes: Vec::new(),
        offer_timeout: Duration::from_secs(3600),
    }
}

impl World {
    /// A world of `n` empty remotes.
    pub fn new(n: usize, redundancy: Redundancy, chunk_size: u64, seed: u64) -> Self {
        Self {
            stores: (0..n).map(|_| MemoryStore::default()).collect(),
            faults: (0..n as u64).map(|i| Faults::new(seed ^ i << 32, FaultPlan::default())).collect(),
            now: Arc::new(AtomicU64::new(START_MS)),
            settings: settings(redundancy, chunk_size),
            connections: None,
            seed,
            opened: AtomicU64::new(0),
        }
    }

    /// A new machine.
    pub fn machine(&self) -> Arc<SimEnv> {
        let n = self.opened.fetch_add(1, Ordering::Relaxed);
        SimEnv::new(self.now.clone(), SplitMix(self.seed ^ n).bits())
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
        let env: SharedEnv = self.machine();
        Ok(crate::pool::make(&self.settings, &self.remotes(&Crash::never()), None, &env).await?.pool)
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
    pub async fn open_as(&self, pool: PoolId, env: SharedEnv, crash: &Arc<Crash>, index: Index) -> Result<Arc<Pool>> {
        let opened = Pool::assemble(pool, self.settings.clone(), self.remotes(crash), index, env).await?;
        Ok(Arc::new(opened))
    }

    /// Lets time pass.
    pub fn pass(&self, time: Duration) {
        self.now.fetch_add(u64::try_from(time.as_millis()).unwrap_or(0), Ordering::Relaxed);
    }
}
