//! Care: what keeps a pool whole over the years.
//!
//! Each task is a plan, which can be shown, and its performance, which can break off anywhere and be done
//! again: what is left is found anew from the journal, the listings and the findings.

mod balance;
mod convert;
mod gc;
mod heal;
mod health;
mod inventory;
mod leftover;
mod live;
mod orphans;
mod rebuild;
mod repack;
mod repair;
mod restore;
mod suspect;
mod trash;
mod verify;
mod watch;

pub use balance::{BalanceStatus, DrainPlan, DrainReport, Flow, RebalancePlan, RebalanceReport, RemoteBalance};
pub use convert::{ConvertPlan, ConvertReport};
pub use gc::{GcOptions, GcReport};
pub use health::{Counts, FileHealth, FileState, HealthOptions, HealthReport, Held, RemoteHealth, StateCounts};
pub use inventory::{Inventory, ShardObject};
pub use leftover::Leftover;
#[cfg(any(test, feature = "testing"))]
pub(crate) use live::Times;
pub use live::{GRACE_MS, Orphan, Stage};
pub use orphans::{Orphans, RemoteOrphans};
pub use rebuild::{DamagedChunk, DamagedRemote, RebuildOptions, RebuildPlan, RebuildReport, SuspectRemote};
pub use repack::RepackPlan;
pub use repair::RepairReport;
pub use suspect::Suspect;
pub use trash::{EmptyOptions, Restored, Trashed, TrashedKind};
pub use verify::{
    Checked, CommitCheck, CommitFinding, RemoteVerified, TrashVerified, VerifyLevel, VerifyOptions, VerifyReport,
};
pub use watch::HealthWatch;
