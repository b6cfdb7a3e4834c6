//! What needs more than running the program: file systems of their own, and a terminal.

use std::process::Stdio;

use crate::cli::{Machine, Outcome};
use crate::{built, repository};

impl Machine {
    /// Runs a shell script that may mount file systems for itself; `$R` is the program. `None` where the
    /// system allows no user namespaces.
    pub fn in_namespace(&self, script: &str) -> Option<Outcome> {
        let allowed = self.shell("unshare -rm mount -t tmpfs -o size=1m tmpfs \"$HOME\"");
        if allowed.code != 0 {
            return None;
        }
        let file = self.file("script.sh", format!("set -e\n{script}"));
        Some(self.shell(&format!("exec unshare -rm sh {}", file.display())))
    }

    /// Runs a shell script in the machine; `$R` is the program.
    pub fn shell(&self, script: &str) -> Outcome {
        let ours = self.command::<&str>(&[]);
        let mut command = std::process::Command::new("sh");
        command.args(["-c", script]).current_dir(self.path("")).env_clear().stdin(Stdio::null());
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("R", built::rclonepool());
        Outcome::of(command.output().unwrap_or_else(|e| panic!("cannot run a shell: {e}")))
    }

    /// Runs the program on a terminal of `columns`; each of `answers` is typed when its question appears.
    /// Everything the terminal showed is in `stdout`.
    pub fn on_terminal(&self, columns: usize, words: &[&str], answers: &[(&str, &str)]) -> Outcome {
        let ours = self.command(words);
        let mut command = std::process::Command::new("python3");
        command.arg(repository::root().join("tests/src/terminal.py")).current_dir(self.path("")).env_clear();
        command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("TERM", "xterm");
        command.arg(columns.to_string()).arg(serde_json::to_string(answers).expect("texts serialize"));
        command.arg(built::rclonepool()).args(words);
        Outcome::of(command.output().unwrap_or_else(|e| panic!("cannot run python3: {e}")))
    }
}
