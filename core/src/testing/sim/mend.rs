//! The very end: a machine that knows nothing mends the pool, and then nothing is left to mend.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::machine::Shared;
use super::verdict::{Left, is_whole};
use crate::error::{ErrorKind, Result};
use crate::id::{ChunkId, RemoteId};
use crate::journal::record::{RemoteRecord, RemoteState};
use crate::monitor::{Event, Monitor};
use crate::pool::Pool;
use crate::pool::care::{RebuildOptions, VerifyLevel, VerifyOptions};
use crate::testing::reference::Merged;

const MENDED: &str = "9 (what can be mended is mended)";

/// Rebuilds all, after letting go of what is lost where `let_go` says so, and verifies every byte.
///
/// # Errors
/// Those of the index.
pub(super) async fn mend(shared: &Shared, fresh: &Arc<Pool>, merged: &Merged, left: &Left, let_go: bool) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for entry in merged.live.values() {
        wanted.extend(entry.content.extents().iter().map(|extent| extent.chunk));
    }
    let mendable: BTreeSet<ChunkId> = wanted.into_iter().filter(|chunk| is_mendable(merged, left, *chunk)).collect();
    if let_go && !let_lost_go(shared, fresh, left).await? {
        return Ok(());
    }
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = said.clone();
    let listener = move |event: &Event| {
        let line = match event {
            Event::Notice { message } => message.clone(),
            Event::FileFailed { path, error } => format!("{path}: {error}"),
            _ => return,
        };
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    };
    let monitor = Monitor::new(Arc::new(listener), CancellationToken::new());
    let options = RebuildOptions { all: true, accept_loss: true, ..RebuildOptions::default() };
    let plan = fresh.plan_rebuild(&options, &monitor).await?;
    let repairable = plan.chunks.iter().filter(|damaged| mendable.contains(&damaged.chunk)).count() as u64;
    let done = match fresh.rebuild(&plan, &monitor).await {
        Ok(done) => done,
        // Too few are left for a commit.
        Err(error) if error.kind() == ErrorKind::Unavailable => {
            shared.witness.line(format!("in the end nothing can be rebuilt: {error}"));
            return Ok(());
        }
        Err(error) => {
            shared.witness.broken(MENDED, format!("rebuilding fails: {error}"));
            return Ok(());
        }
    };
    shared.witness.line(format!("in the end a rebuild: {repairable} chunks to mend: {done:?}"));
    for line in said.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        shared.witness.line(format!("in the end the rebuild says: {line}"));
    }
    // Remotes that are being drained, or leave, take nothing.
    let takes = |record: &RemoteRecord| {
        matches!(record.state, RemoteState::Active | RemoteState::Joining)
            && left.iter().any(|(id, _)| *id == record.remote)
    };
    let somebody = fresh.journal().index().remotes()?.iter().any(takes);
    if somebody && (done.failed > 0 || done.chunks < repairable) {
        shared.witness.broken(MENDED, format!("of {repairable} chunks that can be mended: {done:?}"));
    }
    // Commits that a remote lacks are on their way to it from the listing on.
    fresh.sync().await?;
    fresh.journal().settle(Duration::from_secs(600)).await;
    let deep = VerifyOptions { level: VerifyLevel::Deep, ..VerifyOptions::default() };
    let report = fresh.verify(&deep, &Monitor::default()).await?;
    let gone: BTreeSet<RemoteId> = report.remotes.iter().filter(|r| r.unknown.is_some()).map(|r| r.id).collect();
    for finding in fresh.damage()? {
        if somebody && mendable.contains(&finding.chunk) && !gone.contains(&finding.place.remote) {
            shared.witness.broken(MENDED, format!("after the rebuild a verification finds {finding:?}"));
        }
    }
    if !report.commits.damaged.is_empty() {
        shared.witness.broken(MENDED, format!("a verification finds {:?}", report.commits.damaged));
    }
    Ok(())
}

/// Declares the remotes lost that are; says whether that could be done.
async fn let_lost_go(shared: &Shared, fresh: &Arc<Pool>, left: &Left) -> Result<bool> {
    let members: BTreeSet<RemoteId> = fresh.journal().membership()?.members().collect();
    let lost: Vec<String> =
        members.iter().filter(|id| !left.iter().any(|(other, _)| other == *id)).map(ToString::to_string).collect();
    if lost.is_empty() {
        return Ok(true);
    }
    let done = fresh.remove_lost(&lost).await;
    shared.witness.line(format!("in the end {lost:?} are let go: {done:?}"));
    match done {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Busy) => Ok(false),
        Err(error) => {
            shared.witness.broken(MENDED, format!("lost remotes cannot be let go: {error}"));
            Ok(false)
        }
    }
}

/// Whether enough whole shards of a chunk lie on the remotes that are left.
fn is_mendable(merged: &Merged, left: &Left, chunk: ChunkId) -> bool {
    merged.chunks.get(&chunk).is_some_and(|chunk| {
        let whole: BTreeSet<u8> = chunk.shards.iter().filter(|p| is_whole(chunk, left, p)).map(|p| p.index).collect();
        whole.len() >= usize::from(chunk.layout.data)
    })
}
