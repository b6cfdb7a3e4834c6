//! Every remote and every wrapper against the one conformance suite.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bench;
mod config;
mod daemon;
mod rclone;
mod traps;

use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::env::{SharedEnv, SystemEnv};
use rclonepool_core::remote::wrap::{
    LimitOptions, LimitRemote, Metrics, MetricsRemote, RetryOptions, RetryRemote, StackOptions, TimeoutOptions,
    TimeoutRemote, stack,
};
use rclonepool_core::remote::{DirectoryRemote, MemoryRemote, SharedRemote};
use rclonepool_core::testing::conformance;
use rclonepool_core::testing::fault::{Crash, FaultRemote, Faults};
use rclonepool_core::testing::record::{RecordLog, RecordRemote};

use crate::bench::files_below;

#[tokio::test]
async fn memory() {
    conformance::run_all(&MemoryRemote::new("memory")).await;
}

#[tokio::test]
async fn directory() {
    let dir = tempfile::tempdir().unwrap();
    conformance::run_all(&DirectoryRemote::new(dir.path())).await;
    let left = files_below(dir.path());
    assert!(left.is_empty(), "left behind: {left:?}");
}

#[tokio::test]
async fn every_wrapper_alone() {
    let memory = || -> SharedRemote { Arc::new(MemoryRemote::new("memory")) };
    let env: SharedEnv = Arc::new(SystemEnv);
    let tight = LimitOptions { small: 1, large: 1 };
    let brief = TimeoutOptions { idle: Duration::from_secs(20), ..TimeoutOptions::default() };
    let metrics = Arc::new(Metrics::default());
    let wrapped: [SharedRemote; 6] = [
        Arc::new(RetryRemote::new(memory(), RetryOptions::default(), env)),
        Arc::new(LimitRemote::new(memory(), &tight)),
        Arc::new(MetricsRemote::new(memory(), Arc::clone(&metrics))),
        Arc::new(TimeoutRemote::new(memory(), brief)),
        Arc::new(RecordRemote::new(memory(), Arc::new(RecordLog::default()))),
        Arc::new(FaultRemote::new(memory(), Faults::none(), Crash::never())),
    ];
    for remote in &wrapped {
        conformance::run_all(&**remote).await;
    }
    assert_eq!(metrics.snapshot().in_flight, 0);
}

#[tokio::test]
async fn the_whole_stack() {
    let dir = tempfile::tempdir().unwrap();
    let env: SharedEnv = Arc::new(SystemEnv);
    for retry in [None, Some(RetryOptions::default())] {
        let options = StackOptions { retry, ..StackOptions::default() };
        let (remote, metrics) = stack(Arc::new(DirectoryRemote::new(dir.path())), &options, &env);
        conformance::run_all(&*remote).await;
        let seen = metrics.snapshot();
        assert!(seen.in_flight == 0 && seen.operations.values().all(|n| *n > 0) && seen.latency.is_some(), "{seen:?}");
    }
}
