//! shim
pub mod layout;
pub mod place;
pub mod stripe;
