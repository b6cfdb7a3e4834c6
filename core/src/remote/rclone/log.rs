//! What rclone logs, passed on to `tracing` and remembered a little.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::Notify;

use super::redact::redact;

/// Longer lines are cut; rclone has no reason to write such.
const LINE_BYTES: usize = 8 << 10;
/// How many lines are remembered.
const KEPT: usize = 8;

/// The newest lines, for the error that says why rclone ended.
#[derive(Debug, Clone, Default)]
pub(super) struct LastLines(Arc<Mutex<VecDeque<String>>>, Arc<Notify>);

impl LastLines {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() >= KEPT {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// Waits until the log has ended.
    pub async fn complete(&self) {
        self.1.notified().await;
    }

    /// All of them on one line.
    pub fn joined(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

#[derive(Deserialize)]
struct Entry {
    level: String,
    msg: String,
    #[serde(default)]
    object: Option<String>,
}

/// Reads rclone's standard error to its end.
pub(super) async fn follow(stderr: impl AsyncRead + Unpin, lines: LastLines) {
    let mut reader = BufReader::with_capacity(LINE_BYTES, stderr);
    let mut line: Vec<u8> = vec![];
    loop {
        let (used, ended) = match reader.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(buffer) => match buffer.iter().position(|b| *b == b'\n') {
                Some(end) => {
                    line.extend_from_slice(&buffer[..end.min(LINE_BYTES.saturating_sub(line.len()))]);
                    (end + 1, true)
                }
                None => {
                    line.extend_from_slice(&buffer[..buffer.len().min(LINE_BYTES.saturating_sub(line.len()))]);
                    (buffer.len(), false)
                }
            },
        };
        reader.consume(used);
        if ended {
            tell(&line, &lines);
            line.clear();
        }
    }
    tell(&line, &lines);
    // One permit is kept for who comes later.
    lines.1.notify_one();
}

fn tell(line: &[u8], lines: &LastLines) {
    let text = String::from_utf8_lossy(line);
    if text.trim().is_empty() {
        return;
    }
    let Ok(Entry { level, msg, object }) = serde_json::from_str(&text) else {
        let text = redact(&text);
        tracing::debug!(target: "rclone", "{text}");
        lines.push(text);
        return;
    };
    let text = redact(&object.map_or(msg.clone(), |object| format!("{object}: {msg}")));
    match level.as_str() {
        // The caller of the call hears of it.
        _ if msg.starts_with("rc: \"") => tracing::debug!(target: "rclone", "{text}"),
        "emergency" | "alert" | "critical" | "error" => tracing::warn!(target: "rclone", "{text}"),
        "warning" | "notice" => tracing::info!(target: "rclone", "{text}"),
        _ => tracing::debug!(target: "rclone", "{text}"),
    }
    if !msg.starts_with("rc: \"") {
        lines.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_redacted_and_remembered() {
        let mut input = Vec::new();
        for i in 0..20 {
            input.extend(format!("{{\"level\":\"error\",\"msg\":\"line {i} pass=hush\",\"object\":\"o\"}}\n").bytes());
        }
        input.extend(b"{\"level\":\"error\",\"msg\":\"rc: \\\"config/create\\\": error: hush\"}\n");
        input.extend(vec![b'x'; 1 << 20]);
        input.extend(b"\nplain, without an end");
        let lines = LastLines::default();
        follow(&input[..], lines.clone()).await;
        let told = lines.joined();
        assert!(told.contains("o: line 19 pass=***") && told.ends_with("plain, without an end"), "{told}");
        assert!(!told.contains("line 0 ") && !told.contains("hush") && told.len() < 4000, "{told}");
    }
}
