//! Care: what keeps a pool whole over the years.
//!
//! Each task is a plan, which can be shown, and its performance, which can break off anywhere and be done
//! again: what is left is found anew from the journal, the listings and the findings.

mod health;
mod inventory;
mod suspect;
mod verify;
mod watch;

pub use health::{Counts, FileHealth, FileState, HealthOptions, HealthReport, Held, RemoteHealth, StateCounts};
pub use inventory::{Inventory, ShardObject};
pub use suspect::Suspect;
pub use verify::{Checked, CommitCheck, CommitFinding, RemoteVerified, VerifyLevel, VerifyOptions, VerifyReport};
pub use watch::HealthWatch;
