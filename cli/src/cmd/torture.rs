//! `torture`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rclonepool_core::testing::sim::{self, Failure};
use rclonepool_core::{Error, ErrorKind, Result};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::format::count;
use crate::ui::{Mode, Ui};

/// How many histories are run where neither their number nor a time is given.
const SEEDS: u64 = 1000;

/// Put rclonepool itself to the test: random operations on simulated remotes that fail
///
/// Several machines with wrong clocks work on one pool at once: they store, move, delete, restore, verify,
/// rebuild, rebalance, drain, convert and free. Their remotes lie in memory; they fail, answer late, cut and flip bytes,
/// are unmounted, exchanged, filled, set back and lost, and machines die in the middle. Nothing outside of this
/// process is touched. What users were promised must hold: an acknowledged file reads back with the bytes that
/// were written, a deleted one stays away, a change is seen whole or not at all.
///
/// A seed always gives the same history. One in which a promise is broken is made as short as it can be and
/// printed, and the command ends with 1.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first seed [default: another one each time]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// How many histories, one per seed [default: 1000, or as many as the time allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: Option<u64>,
    /// For how long at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    minutes: Option<u64>,
    /// Print what happens in each history
    #[arg(long)]
    show: bool,
}

/// What has been run so far.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    histories: u64,
    acknowledged: u64,
    stale: u64,
    commits: u64,
    files: u64,
    /// The seed that broke a promise.
    broken: Option<u64>,
}

/// Which histories to run, and what became of them.
struct Series {
    seed: u64,
    seeds: u64,
    until: Option<Instant>,
    show: bool,
    began: Instant,
    ui: Arc<Ui>,
    cancel: CancellationToken,
    tally: Mutex<Tally>,
}

pub async fn run(args: Args, context: &Context) -> Result<()> {
    let began = Instant::now();
    let series = Arc::new(Series {
        seed: args.seed.unwrap_or_else(another),
        seeds: args.seeds.unwrap_or(if args.minutes.is_some() { u64::MAX } else { SEEDS }),
        until: args.minutes.and_then(|minutes| began.checked_add(Duration::from_secs(minutes.saturating_mul(60)))),
        show: args.show,
        began,
        ui: context.ui.clone(),
        cancel: context.cancel.clone(),
        tally: Mutex::default(),
    });
    context.ui.say(&format!("random histories from seed {} on", series.seed))?;
    let failure = series.watched().await?;
    let tally = *series.tally();
    let seconds = began.elapsed().as_secs_f64();
    let mut summary = tally.json(series.seed, seconds);
    summary["broken"] = json!(failure.as_ref().map_or(&[][..], |failure| &failure.broken));
    let Some(failure) = failure else {
        context.ui.say(&format!(
            "{} in {seconds:.1} s, all promises kept: {} acknowledged ({} of them stale), {}, {} read back at the end",
            histories(tally.histories),
            count(tally.acknowledged, "change"),
            tally.stale,
            count(tally.commits, "commit"),
            count(tally.files, "file"),
        ))?;
        return context.ui.summary(summary);
    };
    if context.ui.json {
        summary["broken_seed"] = failure.seed.into();
        summary["plan"] = failure.plan.to_string().lines().collect();
        summary["history"] = json!(failure.history);
        context.ui.summary(summary)?;
    } else {
        context.ui.print(failure.to_string().trim_end())?;
    }
    let what = format!("seed {} breaks a promise; {} before it kept all", failure.seed, histories(tally.histories));
    // Of all kinds, the one whose exit code is that of no failure in particular.
    Err(Error::new(ErrorKind::Io, what).hint(format!(
        "please report it with what is printed above; `rclonepool torture --seed {} --seeds 1` runs it again",
        failure.seed
    )))
}

impl Series {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs the histories on a thread of their own, and shows how far they are.
    async fn watched(self: &Arc<Self>) -> Result<Option<Box<Failure>>> {
        let series = self.clone();
        let mut work = tokio::task::spawn_blocking(move || series.work());
        let mode = self.ui.mode();
        let pause = Duration::from_millis(if mode == Mode::Bar { 200 } else { 5000 });
        let bar = (mode == Mode::Bar).then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        self.ui.set_bar(bar.clone());
        let done = loop {
            tokio::select! {
                done = &mut work => {
                    break done.map_err(|e| Error::new(ErrorKind::Internal, format!("a history: {e}"))).and_then(|done| done);
                }
                () = self.cancel.cancelled() => {
                    let done = histories(self.tally().histories);
                    break Err(Error::new(ErrorKind::Cancelled, format!("interrupted; {done} kept all promises")));
                }
                () = tokio::time::sleep(pause) => self.draw(mode, bar.as_ref()),
            }
        };
        self.ui.set_bar(None);
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
        done
    }

    fn draw(&self, mode: Mode, bar: Option<&ProgressBar>) {
        let tally = *self.tally();
        let seconds = self.began.elapsed().as_secs_f64();
        let line = match tally.broken {
            Some(seed) => format!("seed {seed} breaks a promise; making its history shorter"),
            None => format!("{} in {seconds:.0} s", histories(tally.histories)),
        };
        match (mode, bar) {
            (_, Some(bar)) => bar.set_message(line),
            (Mode::Lines, _) => self.ui.stderr(&line),
            // A reader that went away is met again at the end.
            (Mode::Json, _) => drop(self.ui.json_line("status", tally.json(self.seed, seconds))),
            _ => {}
        }
    }

    fn work(&self) -> Result<Option<Box<Failure>>> {
        for seed in (self.seed..=u64::MAX).take(usize::try_from(self.seeds).unwrap_or(usize::MAX)) {
            let over = self.until.is_some_and(|until| Instant::now() >= until);
            if over || self.cancel.is_cancelled() {
                break;
            }
            let options = sim::mixed(seed);
            let outcome = match sim::run(seed, &options) {
                Ok(outcome) => outcome,
                Err(failure) => {
                    self.tally().broken = Some(seed);
                    return Ok(Some(sim::shrink(failure, &options)));
                }
            };
            {
                let mut tally = self.tally();
                tally.histories += 1;
                tally.acknowledged += outcome.acknowledged as u64;
                tally.stale += outcome.stale as u64;
                tally.commits += outcome.commits as u64;
                tally.files += outcome.files as u64;
            }
            if self.show && self.ui.json {
                self.ui.json_line("history", json!({"seed": seed, "history": outcome.history}))?;
            } else if self.show {
                self.ui.print(&format!("seed {seed}:\n{}", outcome.history.join("\n")))?;
            }
        }
        Ok(None)
    }
}

impl Tally {
    fn json(&self, seed: u64, seconds: f64) -> Value {
        json!({
            "seed": seed,
            "histories": self.histories,
            "acknowledged": self.acknowledged,
            "stale": self.stale,
            "commits": self.commits,
            "files": self.files,
            "seconds_elapsed": seconds,
        })
    }
}

fn histories(n: u64) -> String {
    if n == 1 { "1 history".into() } else { format!("{n} histories") }
}

/// A seed that was hardly used before, and is short enough to be typed.
fn another() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos() ^ now.as_secs() as u32)
}
