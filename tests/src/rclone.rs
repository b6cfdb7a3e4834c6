//! Real rclone: the program, configuration files, and remotes that rclone itself serves on loopback.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use crate::repository;

/// How long a server may take to say where it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The rclone to test with: `$RCLONEPOOL_TEST_RCLONE`, else `.venv/bin/rclone` in the repository,
/// else `rclone` on `$PATH`.
pub fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("RCLONEPOOL_TEST_RCLONE") {
        return given.into();
    }
    let fetched = repository::root().join(".venv/bin/rclone");
    if fetched.exists() { fetched } else { "rclone".into() }
}

/// Runs rclone to its end and gives its standard output; panics with what it said when it fails.
pub fn run<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Vec<u8> {
    let mut command = Command::new(binary());
    command.args(args);
    let output = output(&mut command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn output(command: &mut Command) -> Output {
    let output = command.env("RCLONE_CONFIG", "/dev/null").stdin(Stdio::null()).output();
    output.unwrap_or_else(|e| panic!("cannot run rclone ({command:?}): {e}; run scripts/setup"))
}

/// An rclone.conf of its own, to be filled with remotes; every remote's name is used with a colon after it.
pub struct Config {
    path: PathBuf,
    text: String,
}

impl Config {
    /// An empty rclone.conf in `directory`.
    pub fn new(directory: &Path) -> Self {
        let config = Self { path: directory.join("rclone.conf"), text: String::new() };
        config.write();
        config
    }

    /// Where the file is: for `--config` and `RCLONE_CONFIG`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A remote that is a plain directory.
    pub fn directory(&mut self, name: &str, directory: &Path) {
        let directory = text(directory);
        self.section(name, "alias", &[("remote", &directory)]);
    }

    /// A crypt remote over `wrapped`, a remote (`disk1:`) or a directory.
    pub fn crypt(&mut self, name: &str, wrapped: &str) {
        let password = String::from_utf8(run(["obscure", &format!("the password of {name}")])).expect("ASCII");
        self.section(name, "crypt", &[("remote", wrapped), ("password", password.trim())]);
    }

    /// An S3 remote on `server`; its buckets (the folders the server serves) come after the colon.
    pub fn s3(&mut self, name: &str, server: &Server) {
        self.s3_at(name, server.url());
    }

    /// As [`Config::s3`], with a proxy's URL in place of the server's.
    pub fn s3_at(&mut self, name: &str, url: &str) {
        let options = [
            ("provider", "Rclone"),
            ("endpoint", url),
            ("access_key_id", Server::USER),
            ("secret_access_key", Server::PASSWORD),
        ];
        self.section(name, "s3", &options);
    }

    /// A WebDAV remote on `server`.
    pub fn webdav(&mut self, name: &str, server: &Server) {
        self.webdav_at(name, server.url());
    }

    /// As [`Config::webdav`], with a proxy's URL in place of the server's.
    pub fn webdav_at(&mut self, name: &str, url: &str) {
        let password = String::from_utf8(run(["obscure", Server::PASSWORD])).expect("ASCII");
        let options = [("url", url), ("vendor", "rclone"), ("user", Server::USER), ("pass", password.trim())];
        self.section(name, "webdav", &options);
    }

    /// Takes a remote out, as a user does who edits the file.
    pub fn forget(&mut self, name: &str) {
        let head = format!("[{name}]\n");
        let start = self.text.find(&head).unwrap_or_else(|| panic!("{name} is no remote of this rclone.conf"));
        let length = self.text[start..].find("\n\n").map_or(self.text.len() - start, |end| end + 2);
        self.text.replace_range(start..start + length, "");
        self.write();
    }

    /// Runs rclone with this configuration; see [`run`].
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Vec<u8> {
        let config = ["--config".as_ref(), self.path.as_os_str()].map(std::ffi::OsStr::to_owned);
        run(config.into_iter().chain(args.into_iter().map(|arg| arg.as_ref().to_owned())))
    }

    /// Any remote: its name, type and options.
    pub fn section(&mut self, name: &str, kind: &str, options: &[(&str, &str)]) {
        let into = &mut self.text;
        writeln!(into, "[{name}]\ntype = {kind}").expect("a String takes any text");
        for (key, value) in options {
            writeln!(into, "{key} = {value}").expect("a String takes any text");
        }
        into.push('\n');
        self.write();
    }

    fn write(&self) {
        std::fs::write(&self.path, &self.text).unwrap_or_else(|e| panic!("cannot write {}: {e}", self.path.display()));
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("test directories have UTF-8 names").to_owned()
}

/// An `rclone serve` of ours on 127.0.0.1; killed when the value is dropped.
pub struct Server {
    child: Child,
    url: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    const USER: &str = "tester";
    const PASSWORD: &str = "loopback-secret";

    /// Serves `directory` by WebDAV.
    pub fn webdav(directory: &Path) -> Self {
        Self::webdav_at(directory, "127.0.0.1:0")
    }

    /// Serves `directory` by WebDAV at a given address, such as that of a server that was killed before.
    pub fn webdav_at(directory: &Path, address: &str) -> Self {
        Self::start("webdav", directory, address, &["--user", Self::USER, "--pass", Self::PASSWORD])
    }

    /// Serves a remote of `config` by WebDAV to anybody, with rclone's own defaults but for `options`.
    pub fn webdav_of(config: &Config, remote: &str, options: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(["serve", "webdav", "--addr", "127.0.0.1:0", "--config"]).arg(config.path());
        command.args(options).arg(remote);
        Self::run(command)
    }

    /// Serves `directory` by S3; the folders in it are the buckets.
    pub fn s3(directory: &Path) -> Self {
        Self::s3_at(directory, "127.0.0.1:0")
    }

    /// Serves `directory` by S3 at a given address.
    pub fn s3_at(directory: &Path, address: &str) -> Self {
        Self::start("s3", directory, address, &["--auth-key", &format!("{},{}", Self::USER, Self::PASSWORD)])
    }

    /// `http://127.0.0.1:PORT/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills the server at once, as a crash would, and waits until it is gone.
    pub fn kill(&mut self) {
        // An error here means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn start(protocol: &str, directory: &Path, address: &str, options: &[&str]) -> Self {
        let mut command = Command::new(binary());
        // Not 0s: its cache would be swept without a pause, at the cost of half a processor.
        command.args(["serve", protocol, "--addr", address, "--dir-cache-time", "10ms", "--config", "/dev/null"]);
        command.args(options).arg(directory);
        Self::run(command)
    }

    fn run(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}; run scripts/setup"));
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(String::new()));
        let (found, ready) = mpsc::channel();
        let lines = Arc::clone(&log);
        // Reads until the server closes its end, so that a full pipe never stops it.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some(url) = url_in(&line) {
                    let _ = found.send(url.to_owned());
                }
                let mut log = lines.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut server = Self { child, url: String::new(), log };
        // The other end goes away when the server dies: then this returns at once.
        match ready.recv_timeout(START_LIMIT) {
            Ok(url) => server.url = url,
            Err(why) => panic!("{command:?} did not start ({why}):\n{}", server.log()),
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address in a line such as `… server started on [http://127.0.0.1:42613/]`.
fn url_in(line: &str) -> Option<&str> {
    let start = line.find("[http://127.0.0.1:")? + 1;
    let length = line[start..].find(']')?;
    Some(&line[start..start + length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_log() {
        let line = "NOTICE: Local file system at /x: WebDav Server started on [http://127.0.0.1:42613/]";
        assert_eq!(url_in(line), Some("http://127.0.0.1:42613/"));
        assert_eq!(url_in("NOTICE: nothing [here]"), None);
    }
}
