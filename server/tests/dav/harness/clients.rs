//! Programs that are clients, run to their ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The rclone to test with: `$RCLONEPOOL_TEST_RCLONE`, else `.venv/bin/rclone` in the repository, else that on `$PATH`.
pub fn rclone_binary() -> PathBuf {
    if let Some(given) = std::env::var_os("RCLONEPOOL_TEST_RCLONE") {
        return given.into();
    }
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/rclone");
    if fetched.exists() { fetched } else { "rclone".into() }
}

/// rclone with one remote, `p:`, of type webdav.
pub struct Rclone {
    /// A place for this test's files.
    pub directory: tempfile::TempDir,
}

impl Rclone {
    /// For a server at this URL.
    pub fn new(url: &str, vendor: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = format!("[p]\ntype = webdav\nurl = {url}\nvendor = {vendor}\npacer_min_sleep = 0.1ms\n");
        std::fs::write(directory.path().join("rclone.conf"), config).unwrap();
        Self { directory }
    }

    /// A path of this test's.
    pub fn local(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A command of it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(rclone_binary());
        command.arg("--config").arg(self.local("rclone.conf")).arg("--cache-dir").arg(self.local("cache")).args(args);
        // What it would wait between tries is waited for nothing here.
        command.args(["--low-level-retries", "3", "--retries", "1"]).env_remove("RCLONE_CONFIG");
        command
    }

    /// Runs it; it must succeed. Gives back what it said on both outputs.
    pub async fn run(&self, args: &[&str]) -> String {
        let output = self.try_run(args).await;
        let text = said(&output);
        assert!(output.status.success(), "rclone {args:?}: {text}");
        text
    }

    /// Runs it.
    pub async fn try_run(&self, args: &[&str]) -> Output {
        run(self.command(args)).await
    }
}

/// Both outputs.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a program to its end, beside the server.
pub async fn run(mut command: Command) -> Output {
    let name = format!("{:?}", command.get_program());
    let output = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output()).await.unwrap();
    output.unwrap_or_else(|error| panic!("{name} cannot be run: {error}; run scripts/setup"))
}

/// Runs a program that reads commands.
pub async fn run_with(mut command: Command, input: &str) -> Output {
    let (name, input) = (format!("{:?}", command.get_program()), input.to_owned());
    let work = move || {
        use std::io::Write;
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().unwrap().write_all(input.as_bytes())?;
        child.wait_with_output()
    };
    let output = tokio::task::spawn_blocking(work).await.unwrap();
    output.unwrap_or_else(|error| panic!("{name} cannot be run: {error}; run scripts/setup"))
}

/// A file system that is mounted; unmounted when it is dropped.
pub struct Mounted {
    child: Option<Child>,
    at: PathBuf,
}

impl Mounted {
    /// Runs a program that mounts something at `at`, and waits until it is.
    pub async fn begin(mut command: Command, at: &Path) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        let mounted = Self { child: Some(child), at: at.to_owned() };
        let begun = Instant::now();
        while !mounted.is_mounted() {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing is mounted at {at:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        mounted
    }

    fn is_mounted(&self) -> bool {
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        mounts.split_whitespace().any(|word| Path::new(word) == self.at)
    }

    /// Unmounts, and waits for the program's end: all is written then.
    pub fn end(mut self) {
        self.unmount();
    }

    fn unmount(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let unmounted = Command::new("umount").arg(&self.at).status().is_ok_and(|status| status.success());
        if !unmounted {
            let _ = child.kill();
        }
        let _ = child.wait();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.unmount();
    }
}
