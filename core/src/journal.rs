//! What is where: records, commits, and their way to and from the remotes.
//!
//! The journal is the set of commits on all remotes. [`Journal::sync`] lists them, reads what is
//! new, merges it into the index and copies what a remote lacks; [`Journal::commit`] adds to them.
//! FORMAT.md has the bytes and the merge; ARCHITECTURE.md the rules and what each prevents.

pub mod commit;
pub mod compact;
mod complete;
mod identity;
mod lost;
pub mod marker;
pub mod membership;
pub(crate) mod mend;
mod offers;
mod publish;
mod reach;
pub(crate) mod read;
pub mod record;
mod rules;
pub(crate) mod sync;

pub use publish::Receipt;
pub use rules::Rules;
pub use sync::{RemoteStatus, View};

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::env::SharedEnv;
use crate::error::Result;
use crate::id::{PoolId, RemoteId, Stamp, WriterId};
use crate::index::Index;
use crate::remote::SharedRemote;
use membership::Membership;
use offers::Offers;

/// How long a view may be relied on; far below the grace after which unreferenced data is freed.
pub(crate) const VIEW_AGE_MAX: Duration = Duration::from_secs(600);
/// How far a stamp may run ahead of the latest one seen, without a view, whatever the clock says.
const STAMP_AHEAD_MAX_MS: u64 = 60_000;

/// Sizes that tests make small; fixed elsewhere.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many commits of one tier are merged.
    pub compact_from: usize,
    /// Where an operation is split into several commits, in plain bytes of records.
    pub part_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { compact_from: compact::FAN_IN, part_bytes: commit::PART_BYTES_MAX }
    }
}

/// The journal of one pool, as one process reads and writes it.
#[derive(Debug)]
pub struct Journal {
    pool: PoolId,
    writer: WriterId,
    manifest_prefix: String,
    env: SharedEnv,
    index: Arc<Index>,
    remotes: Vec<SharedRemote>,
    rules: Rules,
    limits: Limits,
    latest: Mutex<Stamp>,
    identities: Mutex<identity::Identities>,
    // Remotes that could not be listed lately, by their place in `remotes`.
    doubts: Mutex<BTreeMap<usize, reach::Doubt>>,
    offers: Offers,
    // Remotes that did not take a commit they lack: told once, until they take one.
    refusing: Arc<Mutex<BTreeSet<RemoteId>>>,
}

impl Journal {
    /// The journal of `pool` over these remotes, whose merged state `index` keeps.
    ///
    /// # Errors
    /// Those of the index.
    pub fn new(
        pool: PoolId,
        manifest_prefix: &str,
        remotes: Vec<SharedRemote>,
        index: Arc<Index>,
        env: SharedEnv,
    ) -> Result<Self> {
        let latest = Mutex::new(index.latest_stamp()?);
        #[allow(clippy::cast_possible_truncation, reason = "random bits")]
        let writer = WriterId(env.random() as u64);
        Ok(Self {
            pool,
            writer,
            manifest_prefix: manifest_prefix.trim_end_matches('/').into(),
            env,
            index,
            remotes,
            rules: Rules::default(),
            limits: Limits::default(),
            latest,
            identities: Mutex::default(),
            doubts: Mutex::default(),
            offers: Offers::default(),
            refusing: Arc::default(),
        })
    }

    /// The same journal over other remotes.
    ///
    /// # Errors
    /// Those of the index.
    pub(crate) fn over(&self, remotes: Vec<SharedRemote>) -> Result<Self> {
        let (rules, limits) = (self.rules, self.limits);
        let journal = Self::new(self.pool, &self.manifest_prefix, remotes, self.index.clone(), self.env.clone())?;
        Ok(Self { rules, limits, ..journal })
    }

    /// The pool.
    pub fn pool(&self) -> PoolId {
        self.pool
    }

    /// The merged state.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The configured remotes, in the configuration's order.
    pub fn remotes(&self) -> &[SharedRemote] {
        &self.remotes
    }

    /// The rules in force.
    pub fn rules(&self) -> Rules {
        self.rules
    }

    /// Switches rules off, to show what they prevent.
    #[cfg(any(test, feature = "testing"))]
    pub fn set_rules(&mut self, rules: Rules) {
        self.index.set_void(rules.void);
        self.rules = rules;
    }

    /// Makes small pools meet what otherwise only large ones do.
    #[cfg(any(test, feature = "testing"))]
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Where markers and commits lie on a remote.
    pub fn manifest_prefix(&self) -> &str {
        &self.manifest_prefix
    }

    /// Who makes this journal's stamps.
    pub fn writer(&self) -> WriterId {
        self.writer
    }

    /// Who is a member, as the journal says.
    ///
    /// # Errors
    /// Those of the index.
    pub fn membership(&self) -> Result<Membership> {
        let records = self.index.remotes()?;
        let pool = self.index.pool()?;
        let tolerated = pool.as_ref().map_or(0, |p| p.redundancy.tolerated());
        let configured = pool.and_then(|p| p.commit_quorum).unwrap_or(0);
        Ok(Membership::new(&records, tolerated, usize::try_from(configured).unwrap_or(0)))
    }

    /// `count` stamps above everything seen, in order; the wall clock is taken only as far as the
    /// rules allow.
    fn stamps(&self, count: usize, view: &View) -> Vec<Stamp> {
        let mut latest = lock(&self.latest);
        let wall = self.env.wall_ms();
        let ahead =
            if view.complete || !self.rules.bounded_stamps { wall } else { wall.min(latest.ms + STAMP_AHEAD_MAX_MS) };
        let start = if ahead > latest.ms {
            Stamp { ms: ahead.min(Stamp::MAX_MS), counter: 0, writer: self.writer }
        } else {
            latest.next(self.writer)
        };
        let stamps: Vec<Stamp> =
            std::iter::successors(Some(start), |s| Some(s.next(self.writer))).take(count).collect();
        *latest = stamps.last().copied().unwrap_or(*latest);
        stamps
    }

    fn saw(&self, stamp: Stamp) {
        let mut latest = lock(&self.latest);
        *latest = (*latest).max(stamp);
    }

    /// Waits, at most `limit`, until every remote has been offered what it lacks.
    pub async fn settle(&self, limit: Duration) {
        let left = self.offers.settle(limit).await;
        if left > 0 {
            tracing::warn!(
                "{left} commits are still on their way to slow remotes; a later sync copies what is missing"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
