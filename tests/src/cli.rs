//! The command line as a user has it: a home of its own, directories for disks, the built program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Map, Value};

use crate::{built, rclone};

/// A machine of its own: a home, and room for disks and files.
pub struct Machine {
    root: tempfile::TempDir,
}

/// What a command did.
#[derive(Debug)]
pub struct Outcome {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// A machine on which nothing was done yet.
    pub fn new() -> Self {
        let machine = Self { root: crate::scratch() };
        machine.directory("home");
        machine
    }

    /// A machine with a pool of `n` directories, `disk1` to `diskN`.
    pub fn with_pool(n: usize, redundancy: &str, chunk_size: &str) -> Self {
        let machine = Self::new();
        machine.init(n, redundancy, chunk_size);
        machine
    }

    /// Makes the pool of [`Machine::with_pool`].
    pub fn init(&self, n: usize, redundancy: &str, chunk_size: &str) {
        let disks = self.disks(n);
        let mut words = vec!["init", "--redundancy", redundancy, "--chunk-size", chunk_size];
        words.extend(disks.iter().flat_map(|disk| ["--remote", disk]));
        self.ok(&words);
        // A missing disk is tried again: it need not take seconds.
        self.set("retry_delay", 0.01);
    }

    /// Deletes all that the program keeps on this machine.
    pub fn forget_home(&self) {
        let home = self.path("home");
        std::fs::remove_dir_all(&home).expect("the home can be removed");
        std::fs::create_dir(home).expect("the home can be made");
    }

    /// Deletes all that the program keeps on this machine, but for the configuration.
    pub fn forget_home_but_config(&self) {
        let cache = self.path("home/.cache");
        std::fs::remove_dir_all(cache).expect("the cache can be removed");
    }

    /// The directories `disk1` to `diskN`, made.
    pub fn disks(&self, n: usize) -> Vec<String> {
        (1..=n).map(|i| text(&self.directory(&format!("disk{i}")))).collect()
    }

    /// A path below the machine's root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        text(&self.path(name))
    }

    /// A directory, made.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(&path).expect("a directory can be made");
        path
    }

    /// A file of these bytes.
    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("a directory can be made");
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// The bytes of a file.
    pub fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        std::fs::read(&path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
    }

    /// Where the configuration is.
    pub fn config_path(&self) -> PathBuf {
        self.path("home/.config/rclonepool/config.json")
    }

    /// Changes the configuration.
    pub fn configure(&self, change: impl FnOnce(&mut Map<String, Value>)) {
        let path = self.config_path();
        let text = std::fs::read_to_string(&path).expect("the configuration can be read");
        let mut map: Map<String, Value> = serde_json::from_str(&text).expect("the configuration is an object");
        change(&mut map);
        std::fs::write(&path, Value::Object(map).to_string()).expect("the configuration can be written");
    }

    /// Sets one key of the configuration.
    pub fn set(&self, key: &str, value: impl Into<Value>) {
        self.configure(|map| drop(map.insert(key.into(), value.into())));
    }

    /// Writes the configuration's text.
    pub fn write_config(&self, text: &str) {
        self.file("home/.config/rclonepool/config.json", text);
    }

    /// The program with these words, in the machine's root, with nothing of our environment but `PATH`.
    pub fn command<S: AsRef<OsStr>>(&self, words: &[S]) -> Command {
        let mut command = Command::new(built::rclonepool());
        command.args(words).current_dir(self.root.path()).stdin(Stdio::null());
        command.env_clear().env("HOME", self.path("home")).env("TZ", "UTC").env("TMPDIR", self.root.path());
        let mut path = std::env::var_os("PATH").unwrap_or_default();
        // The rclone of the tests comes first.
        if let Some(directory) = rclone::binary().parent().filter(|directory| directory.is_absolute()) {
            let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&path));
            path = std::env::join_paths(all).expect("directories of PATH join");
        }
        command.env("PATH", path).env("RCLONE_CONFIG", self.path("rclone.conf"));
        command
    }

    /// Runs the program to its end.
    pub fn run<S: AsRef<OsStr>>(&self, words: &[S]) -> Outcome {
        let mut command = self.command(words);
        Outcome::of(command.output().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}")))
    }

    /// Runs the program with something on its standard input.
    pub fn run_with_input<S: AsRef<OsStr>>(&self, words: &[S], input: &[u8]) -> Outcome {
        use std::io::Write;
        let mut command = self.command(words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot run {command:?}: {e}"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().expect("a child can be waited for");
        writer.join().expect("the writer does not panic");
        Outcome::of(output)
    }

    /// Runs what must succeed; gives its standard output.
    pub fn ok<S: AsRef<OsStr>>(&self, words: &[S]) -> String {
        let outcome = self.run(words);
        assert_eq!(outcome.code, 0, "{}: {outcome:#?}", line(words));
        outcome.stdout
    }

    /// Runs what must fail with `code`; gives its standard error.
    pub fn fails<S: AsRef<OsStr>>(&self, code: i32, words: &[S]) -> String {
        let outcome = self.run(words);
        assert_eq!(outcome.code, code, "{}: {outcome:#?}", line(words));
        outcome.stderr
    }

    /// Runs what must succeed with `--json`; gives all lines, the summary last.
    pub fn json<S: AsRef<OsStr>>(&self, words: &[S]) -> Vec<Value> {
        let words: Vec<&OsStr> = std::iter::once(OsStr::new("--json")).chain(words.iter().map(AsRef::as_ref)).collect();
        let outcome = self.run(&words);
        assert_eq!(outcome.code, 0, "{}: {outcome:#?}", line(&words));
        let lines = outcome.json_lines();
        let last = lines.last().unwrap_or_else(|| panic!("{}: nothing was printed", line(&words)));
        assert_eq!(last["message_type"], "summary", "{}", line(&words));
        lines
    }

    /// The summary of a command that must succeed.
    pub fn summary<S: AsRef<OsStr>>(&self, words: &[S]) -> Value {
        self.json(words).pop().unwrap_or_default()
    }

    /// Stores a file's content in the pool.
    pub fn upload(&self, bytes: impl AsRef<[u8]>, path: &str) {
        let file = self.file("upload.tmp", bytes);
        self.ok(&["upload", &text(&file), path]);
    }

    /// The content of a file of the pool, from a machine that must read it well.
    pub fn cat(&self, path: &str) -> Vec<u8> {
        let output = self.command(&["cat", path]).output().expect("the program runs");
        assert!(output.status.success(), "cat {path}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// All files below a directory of the machine, sorted, relative to it.
    pub fn files_below(&self, name: &str) -> Vec<String> {
        let base = self.path(name);
        let mut found = Vec::new();
        collect(&base, &base, &mut found);
        found.sort();
        found
    }

    /// A text with what differs from run to run replaced.
    pub fn stable(&self, text: &str) -> String {
        let text = text.replace(&self.text(""), "[root]/").replace(self.text("").trim_end_matches('/'), "[root]");
        mask(&text)
    }
}

impl Outcome {
    /// What a finished child said.
    pub fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { code: output.status.code().unwrap_or(-1), stdout, stderr }
    }

    /// Standard output as JSON lines.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The error object on standard error, which must be its last line.
    pub fn json_error(&self) -> Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        let error: Value = serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {}", self.stderr));
        assert_eq!(error["message_type"], "error");
        assert_eq!(error["exit_code"], self.code);
        error
    }
}

/// Repeatable bytes that do not compress.
pub fn content(seed: u64, size: usize) -> Vec<u8> {
    // Source: SplitMix64, Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
    let mut state = seed;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bytes.extend_from_slice(&(z ^ (z >> 31)).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn collect(base: &Path, directory: &Path, found: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() && !path.is_symlink() {
            collect(base, &path, found);
        } else {
            found.push(text(path.strip_prefix(base).expect("found below the base")));
        }
    }
}

/// Ids, times, speeds and sizes of disks become `[id]`, `[time]` and so on.
fn mask(text: &str) -> String {
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let mut hex = String::new();
        for c in line.chars().chain(['\0']) {
            if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
                hex.push(c);
                continue;
            }
            out.push_str(if hex.len() == 32 { "[id]" } else { &hex });
            hex.clear();
            if c != '\0' {
                out.push(c);
            }
        }
    }
    out
}

fn text(path: &Path) -> String {
    path.to_str().expect("test directories have UTF-8 names").to_owned()
}

fn line<S: AsRef<OsStr>>(words: &[S]) -> String {
    words.iter().map(|word| word.as_ref().to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}
