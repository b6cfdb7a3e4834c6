//! A pool that is served, with what belongs to it alone: its jobs, its events, its metrics.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use rclonepool_core::monitor::Event;
use rclonepool_core::pool::PoolStatus;
use rclonepool_core::pool::care::{BalanceStatus, HealthWatch, StateCounts};
use rclonepool_core::{Config, Monitor, Pool, Result};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::hub::{Hub, Topic};
use crate::jobs::Jobs;
use crate::metrics::Counts;
use crate::principal::Quota;
use crate::throughput::Throughput;

/// How long what remotes tell of themselves is believed.
const GLANCE_AGE: Duration = Duration::from_secs(15);
/// A pool that was opened anew waits so long for what still reads from it as it was.
const OLD_POOL: Duration = Duration::from_secs(600);

/// A pool that is served.
pub struct Tenant {
    opened: RwLock<Opened>,
    /// What happens.
    pub hub: Arc<Hub>,
    /// What is under way.
    pub jobs: Jobs,
    /// What is counted.
    pub counts: Counts,
    /// How fast bytes came and went of late.
    pub throughput: Throughput,
    glance: tokio::sync::Mutex<Option<(Instant, Arc<Glance>)>>,
    health: Mutex<Option<Health>>,
    quotas: Mutex<Vec<Weak<Quota>>>,
    background: Mutex<Option<Background>>,
    sync_every: Duration,
}

/// What the remotes tell.
#[derive(Debug)]
pub struct Glance {
    /// The pool at a glance.
    pub status: PoolStatus,
    /// How full the remotes are.
    pub balance: BalanceStatus,
}

/// What the last look at the pool's health found.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    /// How many files are in each state.
    pub files: StateCounts,
    /// How many remotes may still be lost.
    pub tolerated_remotes: usize,
}

struct Opened {
    config: Arc<Config>,
    pool: Arc<Pool>,
}

/// What runs beside the requests.
struct Background {
    stop: CancellationToken,
    watch: Option<HealthWatch>,
    _tasks: Vec<AbortOnDropHandle<()>>,
}

impl Tenant {
    /// Serves an open pool. `config` is what it was opened by.
    pub fn new(config: Config, pool: Arc<Pool>, sync_every: Duration) -> Arc<Self> {
        let hub = Arc::new(Hub::default());
        Arc::new(Self {
            opened: RwLock::new(Opened { config: Arc::new(config), pool }),
            jobs: Jobs::new(hub.clone()),
            hub,
            counts: Counts::default(),
            throughput: Throughput::default(),
            glance: tokio::sync::Mutex::default(),
            health: Mutex::default(),
            quotas: Mutex::default(),
            background: Mutex::default(),
            sync_every,
        })
    }

    /// The pool as it is open now.
    pub fn pool(&self) -> Arc<Pool> {
        self.opened.read().pool.clone()
    }

    /// What it was opened by.
    pub fn config(&self) -> Arc<Config> {
        self.opened.read().config.clone()
    }

    /// What the pool's remotes tell, at most some seconds old.
    ///
    /// # Errors
    /// Those of the index.
    pub async fn glance(&self) -> Result<Arc<Glance>> {
        let mut kept = self.glance.lock().await;
        if let Some((_, glance)) = kept.as_ref().filter(|(at, _)| at.elapsed() < GLANCE_AGE) {
            return Ok(glance.clone());
        }
        let pool = self.pool();
        let glance = Arc::new(Glance { status: pool.status().await?, balance: pool.balance_status().await? });
        *kept = Some((Instant::now(), glance.clone()));
        Ok(glance)
    }

    /// Forgets what remotes told: something was changed.
    pub async fn forget_glance(&self) {
        *self.glance.lock().await = None;
    }

    /// What the last look at the pool's health found.
    pub fn health(&self) -> Option<Health> {
        *self.health.lock()
    }

    /// A quota on this pool, counted.
    ///
    /// # Errors
    /// Those of the index.
    pub fn quota(&self, bytes_max: u64, files_max: u64) -> Result<Arc<Quota>> {
        let (bytes, files) = self.used()?;
        let quota = Arc::new(Quota::new(bytes_max, files_max, bytes, files));
        let mut quotas = self.quotas.lock();
        quotas.retain(|known| known.strong_count() > 0);
        quotas.push(Arc::downgrade(&quota));
        Ok(quota)
    }

    /// What counts against quotas: logical bytes and files, the trash included.
    fn used(&self) -> Result<(u64, u64)> {
        let totals = self.pool().tally()?;
        Ok((totals.bytes + totals.trash_bytes, totals.files + totals.trash_versions))
    }

    /// Counts anew what is used.
    pub fn recount(&self) {
        let quotas: Vec<_> = self.quotas.lock().iter().filter_map(Weak::upgrade).collect();
        for quota in quotas {
            if let Err(error) = quota.recount(|| self.used()) {
                tracing::warn!("what is used could not be counted: {error}");
            }
        }
    }

    /// Starts what runs beside the requests: looking for what others wrote, watching the health, healing, balancing.
    pub fn start(self: &Arc<Self>) {
        let (pool, config) = (self.pool(), self.config());
        let stop = CancellationToken::new();
        let monitor = Monitor::new(self.listener(), stop.clone());
        let mut tasks = vec![pool.start_healing(&monitor), self.syncing(), crate::throughput::sampling(self)];
        if config.auto_rebalance {
            let every = Duration::from_secs(config.health_check_interval.max(1));
            let balancing =
                Pool::keep_balanced(Arc::downgrade(&pool), every, config.rebalance_threshold, monitor.clone());
            tasks.push(AbortOnDropHandle::new(tokio::spawn(balancing)));
        }
        let watch = pool.watch_health(&monitor);
        *self.background.lock() = Some(Background { stop, watch, _tasks: tasks });
    }

    fn syncing(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let (tenant, every) = (Arc::downgrade(self), self.sync_every);
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let Some(tenant) = tenant.upgrade() else { return };
                match tenant.pool().sync().await {
                    Ok(_) => tenant.counts.synced(),
                    Err(error) => tracing::warn!("what other machines wrote could not be read: {error}"),
                }
                tenant.recount();
            }
        }))
    }

    fn listener(self: &Arc<Self>) -> rclonepool_core::monitor::Listener {
        let tenant = Arc::downgrade(self);
        Arc::new(move |event| {
            let Some(tenant) = tenant.upgrade() else { return };
            match event {
                Event::Health { files, tolerated_remotes, .. } => {
                    *tenant.health.lock() = Some(Health { files: *files, tolerated_remotes: *tolerated_remotes });
                    let mut data = serde_json::to_value(event).unwrap_or_default();
                    if let Some(object) = data.as_object_mut() {
                        object.remove("message_type");
                    }
                    tracing::info!(
                        "the pool is {}: of its files {} are healthy, {} degraded, {} at risk, {} unavailable and {} lost; \
                         remotes that may be lost: {tolerated_remotes}",
                        data["state"].as_str().unwrap_or_default().replace('_', " "),
                        files.healthy,
                        files.degraded,
                        files.at_risk,
                        files.unavailable,
                        files.lost
                    );
                    // Who hears of it asks for more, and must not be told how it was before.
                    tokio::spawn(async move {
                        tenant.forget_glance().await;
                        tenant.hub.tell(Topic::Health, data);
                    });
                }
                Event::Healed { shards, failed, .. } => tenant.counts.healed(*shards, *failed),
                Event::Notice { message } => {
                    tracing::info!("{message}");
                    tenant.hub.tell(Topic::Rebalance, json!({ "notice": message }));
                }
                _ => {}
            }
        })
    }

    /// Ends what [`Tenant::start`] started.
    pub async fn stop(&self) {
        let background = self.background.lock().take();
        if let Some(Background { stop, watch, _tasks }) = background {
            stop.cancel();
            if let Some(watch) = watch {
                watch.stop().await;
            }
        }
    }

    /// Serves the pool as it was opened anew, by another configuration. What still reads from it as it was goes on.
    pub async fn replace(self: &Arc<Self>, config: Config, pool: Arc<Pool>) {
        self.stop().await;
        let old = std::mem::replace(&mut *self.opened.write(), Opened { config: Arc::new(config), pool }).pool;
        self.forget_glance().await;
        self.start();
        tokio::spawn(async move {
            let since = Instant::now();
            while Arc::strong_count(&old) > 1 && since.elapsed() < OLD_POOL {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            old.close().await;
        });
    }

    /// Takes another configuration that needs no opening anew.
    pub fn set_config(&self, config: Config) {
        self.opened.write().config = Arc::new(config);
    }

    /// Ends all: jobs have so long to end by themselves.
    pub async fn close(&self, limit: Duration) {
        self.stop().await;
        self.jobs.close(limit).await;
        self.pool().close().await;
    }
}
