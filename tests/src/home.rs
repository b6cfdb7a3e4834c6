//! A user's machine: a home directory, an rclone.conf, and the program run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::{built, rclone};

/// A home directory of its own, with nothing of the tester's in it.
pub struct Home {
    directory: tempfile::TempDir,
    rclone_conf: PathBuf,
}

impl Home {
    /// A new machine that uses this rclone.conf.
    pub fn new(rclone_conf: &Path) -> Self {
        Self { directory: crate::scratch(), rclone_conf: rclone_conf.to_owned() }
    }

    /// The home directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The configuration file `init` writes.
    pub fn config(&self) -> PathBuf {
        self.path().join(".config/rclonepool/config.json")
    }

    /// Sets a key of the configuration.
    pub fn set(&self, key: &str, json: &str) {
        let text = std::fs::read_to_string(self.config()).expect("init wrote the configuration");
        let rest = text.trim_start().strip_prefix('{').expect("it is an object");
        let old = format!("\"{key}\"");
        assert!(!text.contains(&old), "{key} is in the configuration already");
        std::fs::write(self.config(), format!("{{ {old}: {json},{rest}")).expect("it can be written");
    }

    /// The program with these arguments, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(built::rclonepool());
        let binary = rclone::binary();
        let tools = binary.parent().filter(|p| !p.as_os_str().is_empty()).map(Path::to_owned);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = tools.into_iter().chain(std::env::split_paths(&path));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::join_paths(dirs).expect("PATH has no odd names"))
            .env("RCLONE_CONFIG", &self.rclone_conf)
            .current_dir(self.path());
        command
    }

    /// Runs the program, which must succeed; gives back what it printed.
    pub fn run(&self, args: &[&str]) -> String {
        let output = self.output(args);
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "rclonepool {args:?}: {}\n{}{}",
            output.status,
            shown(&output.stdout),
            shown(&output.stderr)
        );
        shown(&output.stdout)
    }

    /// Runs the program.
    pub fn output(&self, args: &[&str]) -> Output {
        let mut command = self.command(args);
        command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"))
    }
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::new();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|n| n.parse::<u32>().ok()));
    }
    found
}

/// The name of a process, empty when it is gone.
pub fn process_name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// All rclone processes below `pid`, at any depth.
pub fn rclones_below(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut queue = vec![pid];
    while let Some(next) = queue.pop() {
        for child in children(next) {
            if process_name(child) == "rclone" {
                found.push(child);
            }
            queue.push(child);
        }
    }
    found
}

/// Kills a process at once.
pub fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).status();
    assert!(status.is_ok_and(|s| s.success()), "kill -{signal} {pid}");
}

/// Waits until `done`, or fails after a generous limit saying what was waited for.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if done() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("waited too long until {what}");
}
