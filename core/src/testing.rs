//! For tests, simulations and `torture`: the contract of [`crate::remote::Remote`] as a suite, and
//! wrappers that break remotes on purpose or count what is asked of them.

pub mod conformance;
pub mod fault;
pub mod history;
pub mod record;
pub mod reference;
pub mod script;
pub mod sim;
pub mod world;
