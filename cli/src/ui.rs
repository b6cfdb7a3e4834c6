//! What the user sees: results on standard output, everything else on standard error.
//!
//! A progress bar may stand on standard error at any time; whatever else goes there passes through
//! [`Ui::stderr`], which takes the bar away for the moment.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use console::Style;
use indicatif::ProgressBar;
use rclonepool_core::config::redact_remote;
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};

use crate::args::{Color, Global};
use crate::{exit, format};

/// Where and how much to print.
#[derive(Debug)]
pub struct Ui {
    /// JSON lines instead of text.
    pub json: bool,
    quiet: bool,
    color: bool,
    progress: AtomicBool,
    /// Whether standard output carries a file's content.
    content: AtomicBool,
    /// Whether the log is JSON lines.
    json_log: AtomicBool,
    bar: Mutex<Option<ProgressBar>>,
    command: &'static str,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A line that is drawn over and over.
    Bar,
    /// A line now and then.
    Lines,
    /// JSON lines.
    Json,
    /// Not at all.
    None,
}

impl Ui {
    pub fn new(global: &Global, command: &'static str) -> Self {
        let color = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stderr().is_terminal() && console::colors_enabled_stderr(),
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            color,
            progress: AtomicBool::new(!global.no_progress && !global.quiet),
            content: AtomicBool::new(false),
            json_log: AtomicBool::new(false),
            bar: Mutex::new(None),
            command,
        }
    }

    /// `show_progress: false` of the configuration.
    pub fn hide_progress(&self) {
        self.progress.store(false, Ordering::Relaxed);
    }

    /// From now on standard output carries a file's content: JSON lines go to standard error.
    pub fn stdout_is_content(&self) {
        self.content.store(true, Ordering::Relaxed);
    }

    /// From now on the log is JSON lines with times, for those who collect logs.
    pub fn log_as_json(&self) {
        self.json_log.store(true, Ordering::Relaxed);
    }

    pub fn mode(&self) -> Mode {
        match self.progress.load(Ordering::Relaxed) {
            false => Mode::None,
            true if self.json => Mode::Json,
            true if io::stderr().is_terminal() => Mode::Bar,
            true => Mode::Lines,
        }
    }

    /// Whether questions can be asked.
    pub fn is_interactive(&self) -> bool {
        !self.json && io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Shows `bar` until it is taken away by `None`.
    pub fn set_bar(&self, bar: Option<ProgressBar>) {
        *self.bar() = bar;
    }

    fn bar(&self) -> MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line on standard error that does not tear the progress bar. Nobody can be told of a failure.
    pub fn stderr(&self, line: &str) {
        let print = || drop(writeln!(io::stderr().lock(), "{line}"));
        match &*self.bar() {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn styled(&self, word: &str, style: Style) -> String {
        style.force_styling(self.color).apply_to(word).to_string()
    }

    /// What went wrong, in full.
    pub fn error(&self, error: &Error) {
        if self.json {
            let kind = serde_json::to_value(error.kind()).unwrap_or_default();
            let object = json!({
                "message_type": "error",
                "command": self.command,
                "kind": kind,
                "message": error.message(),
                "remote": error.remote().map(redact_remote),
                "path": error.path(),
                "hint": error.next_step(),
                "exit_code": exit::code(error.kind()),
            });
            return self.stderr(&object.to_string());
        }
        self.stderr(&format!("{} {}", self.styled("error:", Style::new().red().bold()), describe(error)));
        if let Some(hint) = error.next_step() {
            self.stderr(&format!("{}  {}", self.styled("hint:", Style::new().cyan()), format::printable(hint)));
        }
    }

    /// A failure of one of several things; the command goes on.
    pub fn failure(&self, message: &str) {
        if self.json {
            return self.stderr(&json!({"message_type": "failure", "message": message}).to_string());
        }
        let word = self.styled("error:", Style::new().red().bold());
        self.stderr(&format!("{word} {}", format::printable(message)));
    }

    /// Something the user should know.
    pub fn warn(&self, message: &str) {
        self.log("warning", message);
    }

    /// A line of the log, or a warning.
    pub fn log(&self, level: &str, message: &str) {
        if self.quiet && level != "error" {
            return;
        }
        if self.json_log.load(Ordering::Relaxed) {
            let time = jiff::Timestamp::now();
            let time = format!("{time:.3}");
            let line = json!({"message_type": "log", "time": time, "level": level, "message": message});
            return self.stderr(&line.to_string());
        }
        if self.json {
            return self.stderr(&json!({"message_type": "log", "level": level, "message": message}).to_string());
        }
        let style = match level {
            "error" => Style::new().red().bold(),
            "warning" => Style::new().yellow().bold(),
            _ => Style::new().dim(),
        };
        let word = self.styled(&format!("{level}:"), style);
        self.stderr(&format!("{word} {}", format::printable(message)));
    }

    /// What was done, for people: nothing under `--quiet` and `--json`.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn say(&self, line: &str) -> Result<()> {
        if self.quiet || self.json {
            return Ok(());
        }
        self.print(line)
    }

    /// A line on standard output.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn print(&self, line: &str) -> Result<()> {
        let mut out = self.out();
        out.line(line)?;
        out.flush()
    }

    /// A JSON line of type `kind`.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn json_line(&self, kind: &str, value: Value) -> Result<()> {
        let mut object = serde_json::Map::from_iter([("message_type".to_owned(), Value::from(kind))]);
        if kind == "summary" {
            object.insert("command".into(), self.command.into());
        }
        match value {
            Value::Object(fields) => object.extend(fields),
            other => drop(object.insert("value".into(), other)),
        }
        let line = Value::Object(object).to_string();
        if self.content.load(Ordering::Relaxed) {
            self.stderr(&line);
            return Ok(());
        }
        self.print(&line)
    }

    /// The last JSON line of every command that prints JSON.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn summary(&self, value: Value) -> Result<()> {
        if self.json { self.json_line("summary", value) } else { Ok(()) }
    }

    /// Standard output, buffered until [`Out::flush`].
    pub fn out(&self) -> Out {
        Out(BufWriter::new(io::stdout()))
    }
}

/// Standard output for many lines.
pub struct Out(BufWriter<io::Stdout>);

impl Out {
    /// Adds a line.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn line(&mut self, line: &str) -> Result<()> {
        self.text(line)?;
        self.text("\n")
    }

    /// Adds text as it is.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn text(&mut self, text: &str) -> Result<()> {
        self.0.write_all(text.as_bytes()).map_err(failed)
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// Those of standard output.
    pub fn flush(&mut self) -> Result<()> {
        self.0.flush().map_err(failed)
    }
}

fn failed(error: io::Error) -> Error {
    Error::io("cannot write to standard output", error)
}

/// An error on one line, without its hint.
pub fn describe(error: &Error) -> String {
    // An rclone remote's name ends in the colon already.
    let named = |remote: &str| format!("remote {}: ", redact_remote(remote).trim_end_matches(':'));
    let remote = error.remote().map(named).unwrap_or_default();
    let path = error.path().map(|path| format!("{path}: ")).unwrap_or_default();
    format::printable(&format!("{remote}{path}{}", error.message()))
}

/// An error on one line, with its hint.
pub fn describe_all(error: &Error) -> String {
    match error.next_step() {
        Some(hint) => format!("{} ({})", describe(error), format::printable(hint)),
        None => describe(error),
    }
}

/// Whether the reader of our standard output went away, which is its right.
pub fn is_broken_pipe(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    error.kind() == ErrorKind::Io && source.is_some_and(|source| source.kind() == io::ErrorKind::BrokenPipe)
}
