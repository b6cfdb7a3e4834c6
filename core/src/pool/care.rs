//! Care: what keeps a pool whole over the years.
//!
//! Each task is a plan, which can be shown, and its performance, which can break off anywhere and be done
//! again: what is left is found anew from the journal, the listings and the findings.

mod gc;
mod inventory;
mod live;
mod orphans;
mod trash;

pub use gc::{GcOptions, GcReport};
pub use inventory::{Inventory, ShardObject};
#[cfg(any(test, feature = "testing"))]
pub(crate) use live::Times;
pub use live::{GRACE_MS, Orphan, Stage};
pub use orphans::{Orphans, RemoteOrphans};
pub use trash::{EmptyOptions, Restored, Trashed};
