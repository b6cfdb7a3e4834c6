//! Progress of a long operation: a bar on a terminal, now and then a line elsewhere, or JSON lines.
//!
//! The engine's threads only send events; one thread of ours counts and draws.

mod line;
mod speed;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rclonepool_core::monitor::FileAction;
use rclonepool_core::{Event, Monitor};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::format;
use crate::ui::{Mode, Ui};
use speed::Speed;

/// A bar that appears for less than this only flickers.
const BAR_AFTER: Duration = Duration::from_millis(300);
/// The speed of so much is worth a line even when it was too quick for a bar.
const WORTH_A_LINE: u64 = 16 << 20;

/// What an operation's items are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Items {
    /// Chunks of one file.
    Chunks,
    /// Files.
    Files,
}

/// What was done when the operation ended.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub bytes: u64,
    /// Those of them that did not have to move.
    pub kept_bytes: u64,
    pub total_bytes: Option<u64>,
    /// Chunks or files.
    pub items: u64,
    pub total_items: Option<u64>,
    /// Files that failed.
    pub failed: u64,
    pub elapsed: Duration,
}

/// How much is printed of each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Nothing, but in JSON.
    Quiet,
    /// What was done to it.
    Named,
    /// What would be done to it.
    Planned,
}

/// The progress of one operation.
pub struct Progress {
    monitor: Monitor,
    sender: Sender<Message>,
    thread: Option<JoinHandle<Tally>>,
}

enum Message {
    Event(Event),
    End,
}

impl Progress {
    /// Begins to show progress; [`Progress::finish`] ends it.
    pub fn start(ui: &Arc<Ui>, items: Items, files: Files, cancel: &CancellationToken) -> Self {
        let (sender, receiver) = channel();
        let counter = Counter::new(ui.clone(), items, files);
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || counter.run(&receiver));
        let events = sender.clone();
        // The thread is gone only when it could not be started: the work goes on without it.
        let listener = Arc::new(move |event: &Event| drop(events.send(Message::Event(event.clone()))));
        Self { monitor: Monitor::new(listener, cancel.clone()), sender, thread: thread.ok() }
    }

    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Takes the bar away and tells what was done.
    pub fn finish(self) -> Tally {
        drop(self.sender.send(Message::End));
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

struct Counter {
    ui: Arc<Ui>,
    mode: Mode,
    items: Items,
    files: Files,
    tally: Tally,
    began: Instant,
    speed: Speed,
    bar: Option<ProgressBar>,
}

impl Counter {
    fn new(ui: Arc<Ui>, items: Items, files: Files) -> Self {
        let (mode, began) = (ui.mode(), Instant::now());
        Self { ui, mode, items, files, tally: Tally::default(), began, speed: Speed::new(began), bar: None }
    }

    fn run(mut self, events: &Receiver<Message>) -> Tally {
        let pause = match self.mode {
            Mode::Bar => Duration::from_millis(100),
            Mode::Json => Duration::from_secs(1),
            Mode::Lines | Mode::None => Duration::from_secs(5),
        };
        let mut next = self.began + pause.max(BAR_AFTER);
        loop {
            match events.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(Message::Event(event)) => self.count(&event),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if Instant::now() >= next {
                self.draw();
                next = Instant::now() + pause;
            }
        }
        self.end()
    }

    fn count(&mut self, event: &Event) {
        match event {
            Event::Total { bytes, items } => {
                self.tally.total_bytes = Some(*bytes);
                self.tally.total_items = Some(*items);
            }
            Event::Progress { bytes, items } => {
                self.tally.bytes += bytes;
                if self.items == Items::Chunks {
                    self.tally.items += items;
                }
                // Bytes that come with their items were there before: resumed chunks, unchanged files.
                if *items > 0 {
                    self.tally.kept_bytes += bytes;
                }
                self.speed.note(Instant::now(), self.tally.bytes - self.tally.kept_bytes);
            }
            Event::File { path, size, action } => {
                if self.items == Items::Files {
                    self.tally.items += 1;
                }
                let action = match action {
                    FileAction::Uploaded => "uploaded",
                    FileAction::Unchanged => "unchanged",
                    FileAction::Downloaded => "downloaded",
                    FileAction::Skipped => "skipped",
                };
                let path = path.as_str();
                // A reader that went away is met again at the end.
                let _ = match self.files {
                    _ if self.ui.json => {
                        self.ui.json_line("file", json!({"path": path, "size": size, "action": action}))
                    }
                    Files::Quiet => Ok(()),
                    files => {
                        let would = if files == Files::Planned && action != "unchanged" { "would be " } else { "" };
                        let (path, size) = (format::printable(path), format::size(*size));
                        self.clear(|ui| ui.say(&format!("{size:>10}  {path}  {would}{action}")))
                    }
                };
            }
            Event::FileFailed { path, error } => {
                self.tally.failed += 1;
                let whole = if error.contains(path.as_str()) { error.clone() } else { format!("{path}: {error}") };
                if self.ui.json {
                    let _ = self.ui.json_line("file_failed", json!({"path": path, "error": error}));
                } else {
                    self.ui.failure(&whole);
                }
            }
            Event::Notice { message } => self.ui.warn(message),
            // `Event` may grow.
            _ => {}
        }
    }

    /// Prints on standard output, where the bar may be seen, too.
    fn clear<T>(&self, print: impl FnOnce(&Ui) -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(|| print(&self.ui)),
            None => print(&self.ui),
        }
    }

    fn draw(&mut self) {
        self.tally.elapsed = self.began.elapsed();
        let rate = self.speed.rate(Instant::now());
        match self.mode {
            Mode::None => {}
            Mode::Lines => self.ui.stderr(&line::plain(&self.tally, rate)),
            Mode::Json => {
                let _ = self.ui.json_line("status", line::json(&self.tally, rate));
            }
            Mode::Bar => {
                let bar = self.bar.get_or_insert_with(|| {
                    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                    let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
                    bar.set_style(style);
                    self.ui.set_bar(Some(bar.clone()));
                    bar
                });
                let columns = console::Term::stderr().size().1;
                bar.set_message(line::bar(&self.tally, rate, usize::from(columns)));
            }
        }
    }

    fn end(mut self) -> Tally {
        self.tally.elapsed = self.began.elapsed();
        let bar = self.bar.take();
        let moved = self.tally.bytes - self.tally.kept_bytes;
        if bar.is_some() || self.mode == Mode::Bar && moved >= WORTH_A_LINE {
            // The last line stays, with the speed of the whole.
            let rate = speed::average(moved, self.tally.elapsed);
            let columns = console::Term::stderr().size().1;
            self.ui.set_bar(None);
            if let Some(bar) = bar {
                bar.finish_and_clear();
            }
            self.ui.stderr(&line::bar(&self.tally, Some(rate), usize::from(columns)));
        }
        self.tally
    }
}
