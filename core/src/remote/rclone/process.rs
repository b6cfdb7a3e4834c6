//! The rclone daemon: started, checked, watched, ended.

mod system;

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, sleep, timeout};

use super::RcloneOptions;
use super::body::Source;
use super::classify::{self, Attempt, Failure};
use super::connect::Address;
use super::environment::{self, LOW_LEVEL_RETRIES, RECOMMENDED, Version};
use super::log::{LastLines, follow};
use super::rc::{Credentials, Rc};
use super::run_dir::RunDir;
use crate::error::{Error, ErrorKind, Result};

/// rclone is up in 70 to 300 ms; a loaded machine may take far longer.
const START: Duration = Duration::from_secs(30);
/// SIGTERM lets rclone finish what it does for 10 s. A second one would end it without cleaning up.
const END: Duration = Duration::from_secs(15);
/// How long the log may take to end after the process: one it started may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often a daemon is asked whether it is well, and how long it may take to say so.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// So many unanswered questions in a row mean that it hangs.
const HEALTH_FAILURES: u32 = 3;

/// A running `rclone rcd`.
#[derive(Debug)]
pub(super) struct Daemon {
    /// Calls to it.
    pub rc: Rc,
    /// Its process id.
    pub pid: u32,
    /// Counts the daemons of one [`super::Rclone`].
    pub generation: u64,
    /// How bodies are handed to it.
    pub source: Source,
    /// A private directory it can write to.
    pub stage: PathBuf,
    /// Its version.
    pub version: Version,
    /// When it was started.
    pub started: Instant,
    lines: LastLines,
    ended: watch::Receiver<Option<String>>,
    stop: std::sync::Mutex<Option<oneshot::Sender<()>>>,
}

impl Daemon {
    /// Starts one and waits until it serves.
    pub async fn start(options: &RcloneOptions, generation: u64) -> Result<Self> {
        let run_dir = RunDir::make(&environment::temp_dir(options))?;
        let (address, credentials) = address(options, &run_dir)?;
        let mut child = command(options, &run_dir, &address, credentials.as_ref())?
            .spawn()
            .map_err(|e| Error::new(ErrorKind::Config, format!("rclone cannot be started: {e}")).caused_by(e))?;
        let started = Instant::now();
        let lines = LastLines::default();
        let follower = child.stderr.take().map(|stderr| tokio::spawn(follow(stderr, lines.clone())));
        let (pid, leash) = (child.id().unwrap_or_default(), child.stdin.take());
        let stage = run_dir.path().to_owned();
        let (ended_tx, ended) = watch::channel(None);
        let (stop, stop_rx) = oneshot::channel();
        let rc = Rc::new(address.clone(), credentials.as_ref());
        let guarded = Guarded { child, leash, follower, pid, told_to_end: false, rc: rc.clone(), _run_dir: run_dir };
        tokio::spawn(guarded.watch(stop_rx, ended_tx));

        let mut daemon = Self {
            rc,
            pid,
            generation,
            source: Source::Staging { dir: stage.clone() },
            stage,
            version: Version { major: 0, minor: 0, patch: 0 },
            started,
            lines,
            ended,
            stop: std::sync::Mutex::new(Some(stop)),
        };
        let mut ended = daemon.ended.clone();
        let ready = tokio::select! {
            ready = timeout(START, daemon.make_ready(&address, options)) => ready.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Unavailable, format!("rclone did not answer within {} s", START.as_secs())))
            }),
            _ = ended.wait_for(Option::is_some) => Ok(()),
        };
        let ready = if daemon.is_alive() { ready } else { Err(daemon.ended_early(options).await) };
        if let Err(error) = ready {
            daemon.stop().await;
            // What an old one says about our arguments explains nothing.
            environment::check_version(options).await?;
            return Err(error);
        }
        Ok(daemon)
    }

    /// Waits until it answers and makes sure that it is ours and does what is asked of it.
    async fn make_ready(&mut self, address: &Address, options: &RcloneOptions) -> Result<()> {
        while !address.answers().await {
            sleep(Duration::from_millis(5)).await;
        }
        #[derive(Deserialize)]
        struct Pid {
            pid: u32,
        }
        // Where the port was taken, another program answers, and ours is about to end.
        let pid = loop {
            match self.rc.call::<Pid>("core/pid", &json!({})).await {
                Ok(Pid { pid }) => break pid,
                Err(failure) => {
                    tracing::debug!(error = failure.text, "rclone is not ready yet");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        };
        if pid != self.pid {
            // Ours may be about to say that the port is taken.
            sleep(Duration::from_millis(500)).await;
            return Err(config("another process answers in the place of the rclone we started")
                .hint("rclone_binary must be rclone itself, or a script that ends in `exec rclone \"$@\"`"));
        }
        #[derive(Deserialize)]
        struct Release {
            version: String,
        }
        let Release { version } = self.rc.call("core/version", &json!({})).await.map_err(|f| broken(&f))?;
        let parsed = Version::parse(&version);
        self.version = parsed.ok_or_else(|| config(&format!("rclone has the odd version {version:?}")))?.check()?;
        if self.version < RECOMMENDED {
            tracing::warn!(version = %self.version, "rclone {RECOMMENDED} and later leak less memory");
        }
        let all: Value = self.rc.call("options/get", &json!({})).await.map_err(|f| broken(&f))?;
        let main = &all["main"];
        if main["DryRun"].as_bool() != Some(false) {
            return Err(config("rclone runs with --dry-run, so nothing would be stored").hint("see rclone_flags"));
        }
        // Proves that rclone took our environment; the user may have set another number by a flag.
        let theirs = options.flags.iter().any(|flag| flag.starts_with("--low-level-retries"));
        if main["LowLevelRetries"].as_u64() != Some(LOW_LEVEL_RETRIES) && !theirs {
            return Err(config("rclone does not take its settings from the environment"));
        }
        // Trap: rclone reads its configuration only when it first needs it.
        let remotes = self.rc.call::<Value>("config/listremotes", &json!({})).await;
        remotes.map_err(|f| classify::error(&f, Attempt::Other, ""))?;
        if options.memfd {
            self.source = Source::probe(&self.rc, &self.source).await;
        }
        Ok(())
    }

    async fn ended_early(&self, options: &RcloneOptions) -> Error {
        let _ = timeout(LAST_WORDS, self.lines.complete()).await;
        let said = self.last_words();
        match options.port {
            Some(port) if said.contains("address already in use") => {
                config(&format!("port {port} is in use")).hint("choose another rclone_daemon_port")
            }
            _ => config(&format!("rclone ended at its start: {said}")).hint("see rclone_flags and rclone_binary"),
        }
    }

    /// Whether the process runs.
    pub fn is_alive(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// How it ended and what it logged before.
    pub fn last_words(&self) -> String {
        let ended = self.ended.borrow().clone().unwrap_or_default();
        format!("{ended}: {}", self.lines.joined())
    }

    /// Ends it and waits for that.
    pub async fn stop(&self) {
        let stop = self.stop.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        drop(stop);
        let _ = self.ended.clone().wait_for(Option::is_some).await;
    }
}

fn config(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn broken(failure: &Failure) -> Error {
    Error::new(ErrorKind::Unavailable, format!("rclone cannot be asked: {}", failure.text))
}

fn address(options: &RcloneOptions, run_dir: &RunDir) -> Result<(Address, Option<Credentials>)> {
    if let Some(port) = options.port {
        let random = || format!("{:032x}", rand::random::<u128>());
        return Ok((Address::Port(port), Some((random(), random()))));
    }
    if cfg!(not(unix)) {
        return Err(config("there are no unix sockets here").hint("set rclone_daemon_port"));
    }
    let socket = run_dir.path().join("rc.sock");
    // 104 on macOS, 108 on Linux, with the NUL.
    if socket.as_os_str().len() > 103 {
        let message = format!("the path of temp_dir is too long for a socket: {}", socket.display());
        return Err(config(&message).hint("choose a shorter temp_dir, or set rclone_daemon_port"));
    }
    Ok((Address::Socket(socket), None))
}

fn command(
    options: &RcloneOptions,
    run_dir: &RunDir,
    address: &Address,
    credentials: Option<&Credentials>,
) -> Result<Command> {
    let mut command = system::on_a_leash(&environment::program(options)?);
    command.arg("rcd").args(environment::arguments(options)).arg("--rc-serve").arg("--rc-addr");
    match address {
        Address::Socket(path) => command.arg(format!("unix://{}", path.display())),
        Address::Port(port) => command.arg(format!("127.0.0.1:{port}")),
    };
    command.env_clear().envs(environment::environment(options)).env("TMPDIR", run_dir.path());
    match credentials {
        // Not as arguments: those stand in the process list.
        Some((user, password)) => command.env("RCLONE_RC_USER", user).env("RCLONE_RC_PASS", password),
        None => command.arg("--rc-no-auth"),
    };
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

/// The child process and what must live as long.
struct Guarded {
    child: Child,
    /// The pipe whose end tells the watchdog that we are gone.
    leash: Option<ChildStdin>,
    follower: Option<JoinHandle<()>>,
    pid: u32,
    told_to_end: bool,
    rc: Rc,
    _run_dir: RunDir,
}

impl Guarded {
    /// Runs until the child has ended; asks it to when `stop` is sent or dropped, or when it hangs.
    async fn watch(mut self, mut stop: oneshot::Receiver<()>, ended: watch::Sender<Option<String>>) {
        let mut health = tokio::time::interval_at(Instant::now() + HEALTH_EVERY, HEALTH_EVERY);
        health.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut unanswered = 0;
        let status = loop {
            tokio::select! {
                status = self.child.wait() => break status,
                _ = &mut stop => break self.end().await,
                _ = health.tick() => {
                    let well = timeout(HEALTH_EVERY, self.rc.call::<Value>("rc/noop", &json!({}))).await;
                    unanswered = if matches!(well, Ok(Ok(_))) { 0 } else { unanswered + 1 };
                    if unanswered >= HEALTH_FAILURES {
                        tracing::warn!(pid = self.pid, "rclone does not answer any more and is ended");
                        break self.end().await;
                    }
                }
            }
        };
        // The watchdog goes when it reads a line; at the end of the pipe it would end somebody by a
        // process id that is no longer rclone's. If we ended rclone, it is gone already.
        if let (Some(mut leash), false) = (self.leash.take(), self.told_to_end) {
            let _ = leash.write_all(b"done\n").await;
        }
        let how = status.map_or_else(|e| e.to_string(), |status| status.to_string());
        ended.send_replace(Some(how));
        // The directory goes when all is said.
        if let Some(follower) = self.follower.take() {
            let _ = timeout(LAST_WORDS, follower).await;
        }
    }

    async fn end(&mut self) -> std::io::Result<std::process::ExitStatus> {
        self.told_to_end = true;
        self.rc.close();
        system::terminate(&mut self.child);
        if let Ok(status) = timeout(END, self.child.wait()).await {
            return status;
        }
        system::kill(&mut self.child);
        self.child.wait().await
    }
}

#[cfg(all(test, unix))]
mod tests;
