//! Care: what keeps a pool whole over the years.
//!
//! Each task is a plan, which can be shown, and its performance, which can break off anywhere and be done
//! again: what is left is found anew from the journal, the listings and the findings.

mod balance;
mod convert;
mod heal;
mod inventory;
mod rebuild;
mod repair;
mod restore;

pub use balance::{BalanceStatus, DrainPlan, DrainReport, Flow, RebalancePlan, RebalanceReport, RemoteBalance};
pub use convert::{ConvertPlan, ConvertReport};
pub use inventory::{Inventory, ShardObject};
pub use rebuild::{DamagedChunk, DamagedRemote, RebuildOptions, RebuildPlan, RebuildReport, SuspectRemote};
pub use repair::RepairReport;
