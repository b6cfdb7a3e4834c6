//! The log on standard error: one line per event, never through a progress bar.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use rclonepool_core::config::LogLevel;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::ui::Ui;

/// Starts logging at a level, unless `-v` asks for more. Starting twice changes nothing.
pub fn start(ui: &Arc<Ui>, verbose: u8, level: LogLevel) {
    let asked = match verbose {
        0 => None,
        1 => Some(LogLevel::Info),
        2 => Some(LogLevel::Debug),
        _ => Some(LogLevel::Trace),
    };
    let level = match asked.unwrap_or(level) {
        LogLevel::Off => return,
        LogLevel::Error => Level::ERROR,
        LogLevel::Warning => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let log = Log { ui: ui.clone(), level };
    // An error means that it was started before.
    drop(tracing::subscriber::set_global_default(tracing_subscriber::registry().with(log)));
}

struct Log {
    ui: Arc<Ui>,
    level: Level,
}

impl<S: Subscriber> Layer<S> for Log {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        match metadata.target() {
            target if target.starts_with("rclonepool") => *metadata.level() <= self.level,
            // What rclone says comes back as the error of a call, once, so its own words count one level less.
            "rclone" => match *metadata.level() {
                Level::ERROR | Level::WARN => self.level >= Level::INFO,
                Level::INFO => self.level >= Level::DEBUG,
                _ => self.level >= Level::TRACE,
            },
            // Other crates speak of their own affairs below warnings.
            _ => *metadata.level() <= self.level.min(Level::WARN),
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut text = Text::default();
        event.record(&mut text);
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warning",
            Level::INFO => "info",
            Level::DEBUG => "debug",
            Level::TRACE => "trace",
        };
        let by = if event.metadata().target() == "rclone" { "rclone: " } else { "" };
        self.ui.log(level, &format!("{by}{}{}", text.message, text.fields));
    }
}

#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
