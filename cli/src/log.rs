//! The log on standard error: one line per event, never through a progress bar.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use rclonepool_core::config::LogLevel;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::ui::Ui;

/// The levels, in the order of their numbers below; what comes first says least.
const LEVELS: [LevelFilter; 6] = [
    LevelFilter::OFF,
    LevelFilter::ERROR,
    LevelFilter::WARN,
    LevelFilter::INFO,
    LevelFilter::DEBUG,
    LevelFilter::TRACE,
];

/// The level in force, as its place in [`LEVELS`]. Loggers belong to the process, and so does this.
static LEVEL: AtomicU8 = AtomicU8::new(0);

/// Logs at a level from now on, unless `-v` asks for more.
pub fn start(ui: &Arc<Ui>, verbose: u8, level: LogLevel) {
    let level = match verbose {
        0 => level,
        1 => LogLevel::Info,
        2 => LogLevel::Debug,
        _ => LogLevel::Trace,
    };
    let place = match level {
        LogLevel::Off => 0,
        LogLevel::Error => 1,
        LogLevel::Warning => 2,
        LogLevel::Info => 3,
        LogLevel::Debug => 4,
        LogLevel::Trace => 5,
    };
    if LEVEL.swap(place, Relaxed) == place {
        return;
    }
    // An error means that it was started before.
    drop(tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Log { ui: ui.clone() })));
    // Who was told at its first event whether it is heard must ask again.
    tracing::callsite::rebuild_interest_cache();
}

struct Log {
    ui: Arc<Ui>,
}

impl<S: Subscriber> Layer<S> for Log {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let level = LEVELS[usize::from(LEVEL.load(Relaxed))];
        match metadata.target() {
            target if target.starts_with("rclonepool") => *metadata.level() <= level,
            // What rclone says comes back as the error of a call, once, so its own words count one level less.
            "rclone" => match *metadata.level() {
                Level::ERROR | Level::WARN => level >= Level::INFO,
                Level::INFO => level >= Level::DEBUG,
                _ => level >= Level::TRACE,
            },
            // Other crates speak of their own affairs below warnings.
            _ => *metadata.level() <= level.min(LevelFilter::WARN),
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
