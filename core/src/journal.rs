//! What is where: records, commits, their merge.

pub mod record;
