//! What rclonepool costs: every figure a ratio to another tool, or to what the wire could carry, measured in turns in
//! one run.
//!
//! ```text
//! rclonepool-bench [--quick] [--rounds N] [--svg FILE] [NAME…]
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr)] // the way a program speaks

mod cases;
mod chart;
mod clouds;
mod gauge;
mod http;
mod places;
mod slowcloud;
mod table;
mod worker;

use std::process::ExitCode;

/// Anything may fail here; what failed is printed.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How to measure.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Everything small: to see that all works, not how fast it is.
    pub quick: bool,
    /// How often each is measured; medians are told.
    pub rounds: usize,
}

impl Scale {
    /// The full size, or the quick one.
    pub fn size<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [first, job] if first == worker::ARGUMENT => do_job(job).await,
        _ => measure(&arguments).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rclonepool-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn do_job(job: &str) -> Result<()> {
    let outcome = serde_json::from_str::<worker::Job>(job)?.run_here().await?;
    println!("{}", serde_json::to_string(&outcome)?);
    Ok(())
}

async fn measure(arguments: &[String]) -> Result<()> {
    let names: Vec<&str> = cases::ALL.to_vec();
    let (mut scale, mut wanted, mut svg) = (Scale { quick: false, rounds: 3 }, Vec::new(), None);
    let mut rest = arguments.iter().map(String::as_str);
    while let Some(argument) = rest.next() {
        match argument {
            "--quick" => scale = Scale { quick: true, rounds: 1 },
            "--rounds" => scale.rounds = rest.next().ok_or("--rounds takes a number")?.parse::<usize>()?.max(1),
            "--svg" => svg = Some(rest.next().ok_or("--svg takes a file's name")?),
            name if names.contains(&name) => wanted.push(name),
            other => {
                return Err(format!(
                    "{other}? usage: rclonepool-bench [--quick] [--rounds N] [--svg FILE] [NAME…], NAME one of {}",
                    names.join(", ")
                )
                .into());
            }
        }
    }
    let wanted = if wanted.is_empty() { names } else { wanted };
    let mut rows = Vec::new();
    for name in wanted {
        eprintln!("{name}…");
        rows.extend(cases::run(name, scale).await?);
    }
    let sha = if gauge::has_sha_instructions() { "with" } else { "without" };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    println!("{processors} processors {sha} SHA instructions; medians of {} rounds\n", scale.rounds);
    println!("{}", table::text(&rows));
    if let Some(file) = svg {
        std::fs::write(file, chart::svg(&rows))?;
    }
    let missed = rows.iter().filter(|row| !row.is_met()).count();
    println!("{}", if missed == 0 { "All goals are met.".into() } else { format!("{missed} goals are missed.") });
    Ok(())
}
