//! Machines that take care of the pool as users do: by the pool's own code, while everything else goes on.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::actions::{acknowledge, directory, file, running};
use super::machine::Process;
use super::plan::{DIRECTORIES, FILES, MODES, REMOTES_MOST};
use crate::error::{ErrorKind, Result};
use crate::monitor::{Event, Monitor};
use crate::path::PoolPath;
use crate::pool::Pool;
use crate::pool::care::{EmptyOptions, RebuildOptions, Times, VerifyLevel, VerifyOptions};
use crate::testing::fault::SplitMix;
use crate::testing::history::Operation;

/// What somebody who takes care of a pool can do. Paths and modes are numbers of small sets.
#[allow(missing_docs, reason = "the fields of a variant need no more words than their names")]
#[derive(Debug, Clone, PartialEq)]
pub enum Care {
    /// Looks for damaged shards everywhere and makes them anew.
    Rebuild { accept_loss: bool },
    /// Makes anew what reads and verifications found damaged.
    Heal,
    /// Evens out how full the remotes are.
    Rebalance,
    /// Codes a file or everything (no path) anew.
    Convert { path: Option<usize>, mode: usize },
    /// Compares what is there with what should be; deep: reads it.
    Verify { deep: bool },
    /// Brings a file back from the trash.
    Restore(usize),
    /// Brings back what was deleted below a directory.
    RestoreTree(usize),
    /// Writes packs anew that are mostly garbage.
    Repack,
    /// Empties the trash.
    EmptyTrash,
    /// Moves everything off a remote, which leaves then.
    Drain(usize),
    /// Lets go of the remotes that are lost for good.
    LetGo,
}

impl Care {
    pub(super) fn draw(random: &mut SplitMix) -> Self {
        let below = |random: &mut SplitMix, most: usize| random.below(most as u64) as usize;
        match random.below(100) {
            0..=13 => Self::Rebuild { accept_loss: random.chance(0.5) },
            14..=20 => Self::Repack,
            21..=27 => Self::Heal,
            28..=44 => Self::Rebalance,
            45..=58 => Self::Convert {
                path: random.chance(0.7).then(|| below(random, FILES.len())),
                mode: below(random, MODES.len()),
            },
            59..=69 => Self::Verify { deep: random.chance(0.5) },
            70..=80 => Self::Restore(below(random, FILES.len())),
            81..=85 => Self::RestoreTree(below(random, DIRECTORIES.len())),
            86..=88 => Self::EmptyTrash,
            89..=95 => Self::Drain(below(random, REMOTES_MOST)),
            _ => Self::LetGo,
        }
    }

    /// Does it, and says what came of it.
    ///
    /// # Errors
    /// Those of the pool.
    pub(super) async fn take(&self, process: &Arc<Process>, n: usize) -> Result<String> {
        let Process { pool, .. } = &**process;
        let monitor = told(process, n);
        match self {
            Self::Rebuild { accept_loss } => {
                let options = RebuildOptions { all: true, accept_loss: *accept_loss, ..RebuildOptions::default() };
                let plan = pool.plan_rebuild(&options, &monitor).await?;
                let (chunks, suspect) = (plan.chunks.len(), plan.suspect.len());
                let done = pool.rebuild(&plan, &monitor).await?;
                Ok(format!("{chunks} chunks damaged, {suspect} remotes suspect: {done:?}"))
            }
            Self::Heal => Ok(format!("{:?}", pool.heal_noted(&monitor).await?)),
            Self::Rebalance => {
                let plan = pool.plan_rebalance(1.0).await?;
                let shards = plan.shards;
                let done = pool.rebalance(&plan, &monitor).await?;
                Ok(format!("{shards} shards to move: {done:?}"))
            }
            Self::Convert { path, mode } => {
                let path = path.map_or_else(|| Ok(PoolPath::root()), file)?;
                let plan = pool.plan_convert(&path, MODES[*mode % MODES.len()])?;
                let chunks = plan.chunks.len();
                Ok(format!("{chunks} chunks: {:?}", pool.convert(&plan, &monitor).await?))
            }
            Self::Verify { deep } => {
                let level = if *deep { VerifyLevel::Deep } else { VerifyLevel::Quick };
                let report = pool.verify(&VerifyOptions { level, ..VerifyOptions::default() }, &monitor).await?;
                Ok(format!("{:?}: {:?}, {:?}", report.state, report.shards, report.commits.damaged))
            }
            Self::Restore(path) => restore(process, n, file(*path)?).await,
            Self::RestoreTree(path) => restore(process, n, directory(*path)?).await,
            Self::Repack => Ok(format!("{:?}", pool.repack(&monitor).await?)),
            Self::Drain(remote) => {
                let at = remote % process.shared.world.faults.len();
                fewer(process, 1)?;
                // From now on it takes nothing new.
                process.shared.witness.trouble_for_good(at);
                let done = pool.drain(&format!("m{at}:"), false, true, &monitor).await?;
                Ok(format!("{done:?}"))
            }
            Self::LetGo => {
                let lost = process.shared.world.faults.iter().enumerate().filter(|(_, faults)| faults.is_lost());
                let names: Vec<String> = lost.map(|(at, _)| format!("m{at}:")).collect();
                if names.is_empty() {
                    return Ok("nothing is lost".into());
                }
                fewer(process, names.len())?;
                Ok(format!("{names:?}: {:?}", pool.remove_lost(&names).await?))
            }
            Self::EmptyTrash => Ok(format!("{} versions gone", pool.empty_trash(&EmptyOptions::default()).await?)),
        }
    }
}

impl fmt::Display for Care {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = |n: &usize| FILES[*n % FILES.len()];
        match self {
            Self::Rebuild { accept_loss: false } => f.write_str("rebuild"),
            Self::Rebuild { accept_loss: true } => f.write_str("rebuild, accepting loss"),
            Self::Heal => f.write_str("heal"),
            Self::Rebalance => f.write_str("rebalance"),
            Self::Convert { path, mode } => {
                write!(f, "convert {} to {}", path.as_ref().map_or("/", file), MODES[*mode % MODES.len()])
            }
            Self::Verify { deep: true } => f.write_str("verify deep"),
            Self::Verify { deep: false } => f.write_str("verify"),
            Self::Restore(path) => write!(f, "restore {}", file(path)),
            Self::RestoreTree(path) => write!(f, "restore below {}", DIRECTORIES[*path % DIRECTORIES.len()]),
            Self::Repack => f.write_str("repack"),
            Self::EmptyTrash => f.write_str("empty the trash"),
            Self::Drain(remote) => write!(f, "drain remote {remote}"),
            Self::LetGo => f.write_str("let go of what is lost"),
        }
    }
}

/// Notes that so many members less may count from now on.
fn fewer(process: &Process, gone: usize) -> Result<()> {
    let members = process.pool.journal().membership()?.members().count().saturating_sub(gone);
    let tolerated = process.pool.journal().index().pool()?.map_or(0, |pool| pool.redundancy.tolerated());
    process.shared.witness.lower_quorum((members / 2 + 1).max(tolerated + 1).min(members));
    Ok(())
}

async fn restore(process: &Arc<Process>, n: usize, path: PoolPath) -> Result<String> {
    let _alone = process.names.lock().await;
    let running = running(process, n);
    let restored = process.pool.restore(&path, None, None).await?;
    acknowledge(process, &Operation::Restore(path), restored.stale, &running)
}

/// Takes down what a user would be told on the way.
fn told(process: &Arc<Process>, n: usize) -> Monitor {
    let (shared, machine) = (process.shared.clone(), process.machine);
    let listener = move |event: &Event| match event {
        Event::Notice { message } => shared.line(machine, &format!("#{n} says: {message}")),
        Event::FileFailed { path, error } => shared.line(machine, &format!("#{n} fails for {path}: {error}")),
        _ => {}
    };
    Monitor::new(Arc::new(listener), CancellationToken::new())
}

/// Marks, waits, and frees what was marked before and is still not needed, with a shorter grace than users have.
///
/// # Errors
/// Those of the index. Trouble with remotes ends the attempt with words.
pub(super) async fn collect(pool: &Pool, grace: Duration) -> Result<String> {
    let grace_ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX);
    let times = Times { age_ms: grace_ms / 2, grace_ms };
    let mut said = String::new();
    for wait in [true, false] {
        let freed = match pool.free_by(times, None, false, &Monitor::default()).await {
            Ok(report) => format!("marked {}, dropped {}, deleted {}", report.marked, report.dropped, report.objects),
            Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy) => {
                format!("nothing: {error}")
            }
            Err(error) => return Err(error),
        };
        said = format!("{said}{freed}; ");
        if wait {
            tokio::time::sleep(grace).await;
        }
    }
    Ok(said)
}
