//! A server of the built program, and a client that says exactly what it is told to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::cli::Machine;

/// A server that runs; ended when it is dropped.
pub struct Serving {
    /// The program.
    pub child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    listening: Vec<Value>,
    log: Arc<Mutex<String>>,
}

impl Serving {
    /// Starts `serve`, `api` or the like, and waits until it listens on as many ports as it has faces.
    pub fn start(machine: &Machine, words: &[&str], faces: usize) -> Self {
        let words = [&["--json", "--log-format", "json"], words].concat();
        // Global options come first, those of the command after it.
        let words: Vec<&str> =
            std::iter::once(words[0]).chain(words[3..].iter().copied()).chain(words[1..3].iter().copied()).collect();
        let mut command = machine.command(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let (log, mut stderr) = (Arc::new(Mutex::new(String::new())), child.stderr.take().expect("stderr is piped"));
        let kept = log.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = stderr.read(&mut buffer) {
                kept.lock().expect("no reader panics").push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
        });
        let mut serving = Self { child, lines, listening: Vec::new(), log };
        while serving.listening.len() < faces {
            let line = serving.lines.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("it does not listen: {}", serving.log()));
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(line["message_type"], "listening", "{line}");
            serving.listening.push(line);
        }
        serving
    }

    /// What it wrote on standard error.
    pub fn log(&self) -> String {
        self.log.lock().expect("no writer panics").clone()
    }

    /// Waits until its log holds a text.
    pub fn wait_for_log(&self, text: &str) {
        for _ in 0..300 {
            if self.log().contains(text) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{text:?} is not in {}", self.log());
    }

    /// The address of a face: `http://127.0.0.1:1234`.
    pub fn url(&self, face: &str) -> String {
        let line = self.listening.iter().find(|line| line["face"] == face);
        line.unwrap_or_else(|| panic!("no {face}: {:?}", self.listening))["url"].as_str().expect("a text").to_owned()
    }

    /// Asks a face.
    pub fn ask(&self, face: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let url = self.url(face);
        let at = url.rsplit('/').next().expect("an address").replace("0.0.0.0", "127.0.0.1");
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n");
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(&at).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out can be set");
        stream.write_all(&[head.as_bytes(), body].concat()).expect("it takes the request");
        let mut answer = Vec::new();
        // A connection that breaks off shows in what is missing.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// The status of a GET.
    pub fn get(&self, face: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(face, "GET", path, headers, b"").status
    }

    /// Asks it to stop, and waits; gives its exit code.
    #[cfg(unix)]
    pub fn stop(mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        let asked = std::process::Command::new("kill").arg(&id).status().expect("kill runs");
        assert!(asked.success());
        self.child.wait().expect("a child can be waited for").code()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Status line and headers, in small letters.
    pub head: String,
    /// The rest.
    pub body: String,
}

/// HTTP Basic for a name and a password.
pub fn basic(name: &str, password: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = format!("{name}:{password}");
    let mut encoded = String::from("Basic ");
    for three in text.as_bytes().chunks(3) {
        let number = (0..3).fold(0u32, |n, i| n << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place) & 63) as usize];
            encoded.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    encoded
}
