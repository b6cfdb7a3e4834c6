//! What a process used, as Linux tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// CPU seconds of all threads of this process so far, without its children's.
pub fn own_cpu() -> f64 {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    #[allow(clippy::cast_precision_loss, reason = "exact for a hundred days")]
    let seconds = used.tv_sec as f64 + used.tv_nsec as f64 / 1e9;
    seconds
}

/// CPU seconds of the children of this process that have ended and were waited for, in steps of 10 ms.
pub fn children_cpu() -> f64 {
    ticks("self", 15)
}

/// CPU seconds of a running process so far, in steps of 10 ms.
pub fn cpu_of(pid: u32) -> f64 {
    ticks(&pid.to_string(), 13)
}

/// User and system time, which stand side by side in `stat` (proc(5) counts from 1).
fn ticks(process: &str, at: usize) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The program's name may hold blanks and brackets.
    let fields: Vec<&str> = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
    let field = |nth: usize| fields.get(nth - 2).and_then(|ticks| ticks.parse::<f64>().ok()).unwrap_or_default();
    (field(at) + field(at + 1)) / 100.0
}

/// The most memory a process had resident, in bytes.
pub fn peak_resident(pid: u32) -> u64 {
    status(pid, "VmHWM:")
}

/// The memory a process has resident now, in bytes.
pub fn resident_of(pid: u32) -> u64 {
    status(pid, "VmRSS:")
}

fn status(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10
}

/// The running children of this process.
pub fn children() -> Vec<u32> {
    let parent = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse::<u32>().ok()
    };
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| parent(*pid) == Some(std::process::id()))
        .collect()
}

/// Whether the processor has instructions for SHA-256.
pub fn has_sha_instructions() -> bool {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags = cpu.lines().filter(|line| line.starts_with("flags") || line.starts_with("Features"));
    flags.flat_map(str::split_whitespace).any(|flag| matches!(flag, "sha_ni" | "sha2"))
}

/// Watches how much memory this process takes: what is resident, plus the anonymous memory files it holds open,
/// which no figure of the kernel counts as its own.
pub struct MemoryWatch {
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl MemoryWatch {
    /// Begins.
    pub fn begin() -> Self {
        let (peak, stop) = (Arc::<AtomicU64>::default(), Arc::<AtomicBool>::default());
        let (high, ended) = (Arc::clone(&peak), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !ended.load(Relaxed) {
                high.fetch_max(resident() + memory_files(), Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Self { peak, stop, thread }
    }

    /// Ends; gives the peak in bytes.
    pub fn end(self) -> u64 {
        self.stop.store(true, Relaxed);
        let _ = self.thread.join();
        self.peak.load(Relaxed)
    }
}

fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_default() * rustix::param::page_size() as u64
}

/// What the kernel calls the scratch files.
const MEMORY_FILE: &[u8] = b"/memfd:rclonepool";

fn memory_files() -> u64 {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut seen = std::collections::BTreeSet::new();
    let memory = open.filter_map(|entry| {
        let is_memory =
            std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str().as_encoded_bytes().starts_with(MEMORY_FILE));
        let metadata = is_memory.then(|| std::fs::metadata(entry.path()).ok()).flatten()?;
        let (inode, blocks) = (std::os::unix::fs::MetadataExt::ino(&metadata), blocks(&metadata));
        seen.insert(inode).then_some(blocks * 512)
    });
    memory.sum()
}

fn blocks(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_seen() {
        let (before, watch) = (own_cpu(), MemoryWatch::begin());
        let filled = std::hint::black_box(vec![1u8; 64 << 20]);
        std::thread::sleep(Duration::from_millis(50));
        while own_cpu() < before + 0.05 {}
        drop(filled);
        assert!(watch.end() >= 64 << 20);
        assert!(peak_resident(std::process::id()) >= 64 << 20);
        assert!((1..=peak_resident(std::process::id())).contains(&resident_of(std::process::id())));
        assert!(cpu_of(std::process::id()) > 0.0);
    }

    #[test]
    fn memory_files_count() {
        let mut file = rclonepool_core::scratch::Scratch::default().create().expect("a scratch file");
        file.write(&vec![1; 8 << 20]).expect("written");
        assert!(memory_files() >= 8 << 20);
    }

    #[test]
    fn children_are_found_and_their_time_counts_when_they_ended() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read line"])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("sh runs");
        assert!(children().contains(&child.id()));
        while cpu_of(child.id()) < 0.02 {}
        let before = children_cpu();
        drop(child.stdin.take());
        let _ = child.wait();
        assert!(children_cpu() >= before + 0.02);
    }
}
