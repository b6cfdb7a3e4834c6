//! Keys of what reads keep and fetch ahead.

use rclonepool_tests::cli::{Machine, content};
use rclonepool_tests::wrapper;

/// Shards read by a command.
fn reads(machine: &Machine, command: &[&str]) -> usize {
    wrapper::behave(machine, "");
    machine.ok(command);
    wrapper::calls(machine).iter().filter(|call| call.starts_with("cat") && call.contains("data/")).count()
}

#[test]
fn the_chunk_cache_keeps_what_was_read() {
    let machine = wrapper::pool(1, "none", "1M");
    machine.set("enable_prefetch", false);
    machine.upload(content(1, 4 << 20), "/f");
    let twice = || reads(&machine, &["cat", "/f", "/f"]);
    assert_eq!(reads(&machine, &["cat", "/f"]), 4);
    assert_eq!(twice(), 4, "the second time from memory");
    machine.set("chunk_cache_size_mb", 2);
    assert_eq!(twice(), 8, "the beginning has gone when the end was read");
    machine.set("chunk_cache_size_mb", 500);
    machine.set("enable_chunk_cache", false);
    assert_eq!(twice(), 8);
}

#[test]
fn prefetching_reads_chunks_side_by_side() {
    let machine = wrapper::pool(1, "none", "64K");
    machine.set("remote_connections", 16);
    machine.upload(content(1, 12 * 65_536), "/f");
    let most = || {
        wrapper::behave(&machine, "case $verb in cat) sleep 0.4 ;; esac");
        machine.ok(&["cat", "/f"]);
        wrapper::most_at_once(&machine, "cat")
    };
    assert_eq!(most(), 3, "two beside the one that is read");
    machine.set("prefetch_chunks", 5);
    assert_eq!(most(), 6);
    machine.set("prefetch_chunks", 0);
    assert_eq!(most(), 1);
    machine.set("prefetch_chunks", 5);
    machine.set("enable_prefetch", false);
    assert_eq!(most(), 1);
}
