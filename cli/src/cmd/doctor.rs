//! `doctor`.

mod machine;
mod remotes;
mod setup;

use rclonepool_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::format::{count, printable};
use crate::ui::describe;

/// Check that everything is in place, and say what to do where it is not
///
/// The configuration; rclone, its version and its own configuration; that each remote answers and carries the pool's
/// marker, and its free space; the clock; the directories for the index and for temporary files; the ports of the
/// servers. Nothing is changed, on the remotes or here.
///
/// Exit code: 0 when nothing needs to be done (warnings do not count), else that of the first problem.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Ok,
    Warning,
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    /// What it belongs to: `rclone`, `remote` and so on.
    check: &'static str,
    state: State,
    message: String,
    /// What to do.
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<ErrorKind>,
}

/// All that was found, in the order it was looked at.
#[derive(Debug, Default)]
struct Report(Vec<Finding>);

impl Report {
    fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.0.push(Finding { check, state: State::Ok, message: message.into(), hint: None, kind: None });
    }

    fn warn(&mut self, check: &'static str, message: impl Into<String>, hint: &str) {
        let hint = Some(hint.to_owned());
        self.0.push(Finding { check, state: State::Warning, message: message.into(), hint, kind: None });
    }

    /// Where the error itself does not say what to do, `otherwise` does.
    fn problem(&mut self, check: &'static str, error: &Error, otherwise: &str) {
        let (hint, kind) = (Some(error.next_step().unwrap_or(otherwise).to_owned()), Some(error.kind()));
        self.0.push(Finding { check, state: State::Problem, message: describe(error), hint, kind });
    }

    fn count(&self, state: State) -> u64 {
        self.0.iter().filter(|finding| finding.state == state).count() as u64
    }
}

pub async fn run(_: Args, context: &Context) -> Result<()> {
    let mut report = Report::default();
    let config = setup::config(context, &mut report);
    let usable = config.as_ref();
    let rclone = setup::rclone(context, usable, &mut report).await?;
    if let Some(config) = usable {
        remotes::check(context, config, rclone.as_ref(), &mut report).await?;
    }
    if let Some(rclone) = rclone {
        rclone.close().await;
    }
    let config = match config {
        Some(config) => config,
        // The defaults: what `init` would begin with.
        None => context.localise(rclonepool_core::Config::default())?,
    };
    machine::directories(&config, &mut report).await;
    machine::ports(&config, &mut report).await;
    tell(&report, context)
}

fn tell(report: &Report, context: &Context) -> Result<()> {
    let (warnings, problems) = (report.count(State::Warning), report.count(State::Problem));
    if context.ui.json {
        context.ui.summary(json!({"problems": problems, "warnings": warnings, "checks": report.0}))?;
    } else {
        let mut out = context.ui.out();
        for Finding { check, state, message, hint, .. } in &report.0 {
            let word = match state {
                State::Ok => "ok",
                State::Warning => "warning",
                State::Problem => "PROBLEM",
            };
            out.line(&format!("{word:<8}{check:<10}{}", printable(message)))?;
            if let Some(hint) = hint {
                out.line(&format!("{:18}-> {}", "", printable(hint)))?;
            }
        }
        out.flush()?;
    }
    let Some(first) = report.0.iter().find_map(|finding| finding.kind) else {
        return match warnings {
            0 => context.ui.say("All is in order."),
            n => context.ui.say(&format!("Nothing stands in the way; {}.", count(n, "warning"))),
        };
    };
    Err(Error::new(first, format!("{} found", count(problems, "problem"))).hint("do what stands behind the arrows"))
}
