//! Draining: everything leaves a remote, then the remote leaves the pool.

use std::sync::Arc;

use serde::Serialize;

use super::{Flow, Move, RebalanceReport};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::record::{RemoteRecord, RemoteState};
use crate::monitor::Monitor;
use crate::pool::{MemberChange, Pool};

/// How often what is left is planned anew.
const ROUNDS: usize = 8;

/// What draining a remote would do.
#[derive(Debug, Clone, Serialize)]
pub struct DrainPlan {
    /// Its name.
    pub remote: String,
    /// Its id.
    pub id: RemoteId,
    /// Where it stands now.
    pub state: RemoteState,
    /// Shards that leave it.
    pub shards: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Where to.
    pub flows: Vec<Flow>,
    /// Bytes that find no room on the others.
    pub stuck: u64,
    /// Chunks that survive fewer losses afterwards.
    pub sinking: u64,
    /// Shards of deleted chunks that wait for garbage collection: they neither move nor may the remote leave
    /// before they are freed.
    pub garbage: u64,
    /// Whether it cannot be read: what lies on it is made from the other shards.
    pub offline: bool,
    #[serde(skip)]
    moves: Vec<Move>,
}

/// What draining a remote did.
#[derive(Debug, Clone, Serialize)]
pub struct DrainReport {
    /// What was moved.
    #[serde(flatten)]
    pub moved: RebalanceReport,
    /// Shards that are still on it.
    pub left: u64,
    /// How far it is with leaving; `None` while shards are left.
    pub change: Option<MemberChange>,
}

impl Pool {
    /// Finds what draining a remote costs. Changes nothing.
    ///
    /// # Errors
    /// `NotFound` when the pool has no such remote; `InvalidArgument` when it is the last one.
    pub async fn plan_drain(&self, name: &str) -> Result<DrainPlan> {
        match self.member(name).await {
            Ok(found) => self.plan_drain_of(found).await,
            Err(error) => match self.removed_before(name).await? {
                Some((record, _)) => Ok(DrainPlan {
                    remote: record.label,
                    id: record.remote,
                    state: record.state,
                    shards: 0,
                    bytes: 0,
                    flows: Vec::new(),
                    stuck: 0,
                    sinking: 0,
                    garbage: 0,
                    offline: false,
                    moves: Vec::new(),
                }),
                None => Err(error),
            },
        }
    }

    async fn plan_drain_of(&self, found: RemoteRecord) -> Result<DrainPlan> {
        let id = found.remote;
        let others = self.index.remotes()?.into_iter().filter(|r| r.remote != id);
        if !others.into_iter().any(|r| matches!(r.state, RemoteState::Active | RemoteState::Joining)) {
            return Err(Error::new(ErrorKind::InvalidArgument, "there is no other remote for what lies on it")
                .on_remote(&found.label)
                .hint("add one first: `rclonepool remotes add`"));
        }
        let mut figures = self.figures().await?;
        let at = figures.ids.iter().position(|known| *known == Some(id)).unwrap_or_else(|| {
            // It is a member that this configuration does not name.
            figures.ids.push(Some(id));
            figures.push_unknown(&found);
            figures.ids.len() - 1
        });
        let planned = self.plan_moves(&figures, &[at], f64::INFINITY)?;
        let moves = planned.moves;
        Ok(DrainPlan {
            remote: found.label.clone(),
            id,
            state: found.state,
            shards: moves.len() as u64,
            bytes: moves.iter().map(|one| one.bytes).sum(),
            flows: self.flows(&moves),
            stuck: planned.balancer.stuck(),
            sinking: planned.sinking.len() as u64,
            garbage: self.index.shards_of_marked(id)?,
            offline: self.handle(id).await.is_none(),
            moves,
        })
    }

    /// Drains a remote: it takes no new data from now on, everything on it goes to the others, and it
    /// leaves the pool as by [`Pool::remove_remote`]. Interrupted or repeated, it goes on with what is left.
    ///
    /// `force` also when chunks survive fewer losses afterwards.
    ///
    /// # Errors
    /// `Full` when the others have no room for all of it, `InvalidArgument` when it costs tolerance and `force`
    /// is not given: nothing was changed then. `Busy` while another change of membership is under way;
    /// `Unavailable` without a view.
    pub async fn drain(
        self: &Arc<Self>,
        name: &str,
        alone: bool,
        force: bool,
        monitor: &Monitor,
    ) -> Result<DrainReport> {
        let mut report = RebalanceReport { reached: true, ..RebalanceReport::default() };
        let found = match self.member(name).await {
            Ok(found) => found,
            Err(error) => {
                // It was broken off after the remote had left.
                let Some(id) = self.forget_removed(name).await? else { return Err(error) };
                let change = MemberChange { remotes: vec![id], state: RemoteState::Removed, grace_left_ms: 0 };
                return Ok(DrainReport { moved: report, left: 0, change: Some(change) });
            }
        };
        if found.state != RemoteState::Leaving {
            let mut plan = self.plan_drain_of(found.clone()).await?;
            check(&plan, force)?;
            if found.state != RemoteState::Draining {
                self.finish_change(alone).await?;
                let view = self.complete_view().await?;
                let record = RemoteRecord { state: RemoteState::Draining, ..found.clone() };
                self.commit_members(&self.journal, view, vec![record]).await?;
            }
            self.part(&mut report, monitor).await?;
            for _ in 0..ROUNDS {
                if plan.moves.is_empty() {
                    break;
                }
                let before = report.shards + report.skipped;
                self.perform_moves(&plan.moves, &mut report, monitor).await?;
                self.part(&mut report, monitor).await?;
                // Uploads that began before may have put more on it meanwhile.
                plan = self.plan_drain_of(found.clone()).await?;
                if report.shards + report.skipped == before || report.stale {
                    break;
                }
            }
        }
        let used = self.index.remote_use()?;
        // What is kept there, as its new place is no better yet, holds the remote, too.
        let kept =
            self.kept_for_parting().await?.iter().filter(|(_, place)| place.remote == found.remote).count() as u64;
        let left = kept + used.iter().find(|(id, _)| *id == found.remote).map_or(0, |(_, used)| used.objects);
        (report.variance, report.reached) = (self.balance_status().await?.variance, left == 0);
        let id = found.remote.to_string();
        let change = if left == 0 { Some(self.remove_remote(&id, alone).await?) } else { None };
        Ok(DrainReport { moved: report, left, change })
    }
}

fn check(plan: &DrainPlan, force: bool) -> Result<()> {
    if plan.stuck > 0 {
        return Err(Error::new(
            ErrorKind::Full,
            format!("{} bytes of what lies on it find no room on the other remotes", plan.stuck),
        )
        .on_remote(&plan.remote)
        .hint("add a remote, raise a quota or delete files first"));
    }
    if plan.sinking > 0 && !force {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            format!("without it {} chunks survive the loss of fewer remotes than now", plan.sinking),
        )
        .on_remote(&plan.remote)
        .hint("add a remote first, or say --yes"));
    }
    Ok(())
}
