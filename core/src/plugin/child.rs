//! Python files, each plugin in a process of its own.
//!
//! The process gets one socket as its standard input and output; frames go both ways, one answer for each call. Whoever
//! hangs, dies or answers nonsense is killed with all it started.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::{Answer, Fault, Frame, Instance, Loader, Metadata, PluginId};

/// The Python side; the module `rclonepool.plugin_system` of the package, too.
const PYTHON_SIDE: &str = include_str!("../../../python/python/rclonepool/plugin_system.py");
/// Runs it under its own name, so that plugins import what their host runs.
const BEGIN: &str = "import sys, types; sys.path[:] = [p for p in sys.path if p]; \
                     m = sys.modules['plugin_system'] = types.ModuleType('plugin_system'); \
                     exec(compile(sys.argv.pop(1), 'plugin_system.py', 'exec'), m.__dict__); m.main()";
const PROTOCOL: u64 = 1;
/// Python itself takes a moment to start, which is no fault of the plugin.
const START: Duration = Duration::from_secs(15);
/// How long a plugin that is let go may take to end.
const END: Duration = Duration::from_millis(500);
/// The most of a line that a plugin prints.
const LINE_BYTES_MAX: u64 = 4096;

/// Runs Python files in child processes.
#[derive(Debug, Clone)]
pub struct ChildLoader {
    python: PathBuf,
    env: Vec<(String, String)>,
}

impl ChildLoader {
    /// By this `python` (3.10 or later), in this environment; what is meant for rclone is left out of it.
    pub fn new(python: impl Into<PathBuf>, env: &[(String, String)]) -> Self {
        let harmless = |(name, _): &&(String, String)| !name.starts_with("RCLONE");
        Self { python: python.into(), env: env.iter().filter(harmless).cloned().collect() }
    }

    fn host(&self, name: &str, time: Duration) -> Result<Host, Fault> {
        let failed = |e: io::Error| Fault::Broken(format!("{} does not start: {e}", self.python.display()));
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let input = OwnedFd::from(theirs.try_clone().map_err(failed)?);
        let mut child = Command::new(&self.python)
            .args(["-B", "-c", BEGIN, PYTHON_SIDE])
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::piped())
            // Of its own, so that Ctrl-C is ours to handle, and all of it can be killed.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let said = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let (name, said) = (name.to_owned(), said.clone());
            std::thread::spawn(move || listen(stderr, &name, &said));
        }
        let mut host = Host { child, socket: ours, calls: 0, said };
        let hello = host.read(Instant::now() + START.max(time))?;
        if hello.head.get("hello").and_then(Value::as_u64) != Some(PROTOCOL) {
            return Err(Fault::broken("it is no host of plugins"));
        }
        Ok(host)
    }
}

impl Loader for ChildLoader {
    fn takes(&self, file: &Path) -> bool {
        file.extension().is_some_and(|extension| extension == "py")
    }

    fn describe(&self, file: &Path, time: Duration) -> Result<Vec<Metadata>, Fault> {
        let name = file.display().to_string();
        let mut host = self.host(&name, time)?;
        let answer = host.call("describe", json!({ "path": name }), &[], time)?;
        serde_json::from_value(answer.value).map_err(|e| Fault::Broken(format!("its metadata is wrong: {e}")))
    }

    fn start(
        &self,
        file: &Path,
        id: &PluginId,
        config: &Map<String, Value>,
        time: Duration,
    ) -> Result<(Box<dyn Instance>, Metadata), Fault> {
        let mut host = self.host(&id.to_string(), time)?;
        let args = json!({"path": file.display().to_string(), "kind": id.kind, "name": id.name, "config": config});
        let answer = host.call("start", args, &[], time)?;
        let metadata =
            serde_json::from_value(answer.value).map_err(|e| Fault::Broken(format!("its metadata is wrong: {e}")))?;
        Ok((Box::new(host), metadata))
    }
}

/// What a plugin prints goes to the log; the last line may say why it died.
fn listen(stderr: impl Read, name: &str, said: &Mutex<String>) {
    let mut lines = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut lines).take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                if !text.is_empty() {
                    tracing::info!("{name}: {text}");
                    *said.lock().unwrap_or_else(PoisonError::into_inner) = text;
                }
            }
        }
    }
}

/// A child process with a plugin in it.
#[derive(Debug)]
struct Host {
    child: Child,
    socket: UnixStream,
    calls: u64,
    /// The last line it printed.
    said: Arc<Mutex<String>>,
}

/// A socket until a moment.
struct Until<'a>(&'a UnixStream, Instant);

impl Until<'_> {
    fn left(&self) -> io::Result<Duration> {
        let left = self.1.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Until<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.set_read_timeout(Some(self.left()?))?;
        self.0.read(into)
    }
}

impl Write for Until<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set_write_timeout(Some(self.left()?))?;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Host {
    fn read(&mut self, until: Instant) -> Result<Frame, Fault> {
        match Frame::read(&mut Until(&self.socket, until)) {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.died()),
            Err(error) => Err(self.fault(&error)),
        }
    }

    fn fault(&mut self, error: &io::Error) -> Fault {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Fault::broken("hangs: it was ended"),
            io::ErrorKind::InvalidData => Fault::Broken(format!("answered nonsense: {error}")),
            _ => self.died(),
        }
    }

    /// Why it ended, as far as that can be known.
    fn died(&mut self) -> Fault {
        let mut why = "died".to_owned();
        let since = Instant::now();
        while since.elapsed() < END {
            if let Ok(Some(status)) = self.child.try_wait() {
                why = format!("died ({status})");
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Fault::Broken(if said.is_empty() { why } else { format!("{why}: {said}") })
    }
}

impl Instance for Host {
    fn call(&mut self, method: &str, args: Value, data: &[u8], time: Duration) -> Result<Answer, Fault> {
        self.calls += 1;
        let until = Instant::now() + time;
        let head = json!({"call": self.calls, "method": method, "args": args});
        if let Err(error) = Frame::write(&mut Until(&self.socket, until), &head, data) {
            if error.kind() == io::ErrorKind::InvalidInput {
                return Err(Fault::Raised { kind: "ValueError".into(), message: error.to_string() });
            }
            return Err(self.fault(&error));
        }
        let Frame { mut head, data } = self.read(until)?;
        if head.get("call").and_then(Value::as_u64) != Some(self.calls) {
            return Err(Fault::broken("answered nonsense: an answer to nothing"));
        }
        if let Some(error) = head.get("error") {
            let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or("?").chars().take(2000).collect();
            return Err(Fault::Raised { kind: text("type"), message: text("message") });
        }
        let value = head.get_mut("value").map(Value::take).unwrap_or_default();
        Ok(Answer { value, data })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The end of its input tells it to end.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
        let since = Instant::now();
        while since.elapsed() < END {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
                _ => break,
            }
        }
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw) {
            // What it started, too.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
