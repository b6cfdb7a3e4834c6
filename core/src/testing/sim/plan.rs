//! What a simulation will do, drawn from its seed: all of it before the first step, so that a failing
//! history can be made shorter by leaving steps out.

use std::fmt;
use std::time::Duration;

use super::Options;
use super::care::Care;
use crate::config::Chunker;
use crate::redundancy::Redundancy;
use crate::testing::fault::{FaultPlan, SplitMix};

/// Bytes of a chunk: above 64 KiB, so that chunks are coded, and small, so that files have several.
pub const CHUNK_BYTES: u64 = 80_000;

/// A whole simulation.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it was drawn from.
    pub seed: u64,
    /// How many remotes.
    pub remotes: usize,
    /// The pool's redundancy.
    pub redundancy: Redundancy,
    /// The level chunks are compressed at.
    pub compression: Option<u8>,
    /// Whether content is stored once.
    pub deduplication: bool,
    /// Where files are cut into chunks.
    pub chunker: Chunker,
    /// How long versions stay in the trash.
    pub trash_hours: u64,
    /// The machines.
    pub machines: Vec<MachinePlan>,
    /// What goes wrong all the time.
    pub faults: FaultPlan,
    /// What happens when, in order.
    pub steps: Vec<Step>,
}

/// A machine of a plan.
#[derive(Debug, Clone)]
pub struct MachinePlan {
    /// How wrong its wall clock is.
    pub skew_ms: i64,
    /// Whether it tries again what failed.
    pub retries: bool,
}

/// Something that happens at some time.
#[derive(Debug, Clone)]
pub struct Step {
    /// When, in milliseconds from the beginning.
    pub at_ms: u64,
    /// What.
    pub what: What,
}

/// What can happen.
#[allow(missing_docs, reason = "the fields of a variant need no more words than their names")]
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A machine's user does something.
    Do(usize, Action),
    /// A machine dies in its `calls`-th remote call from now, and comes back after a while.
    Crash { machine: usize, calls: u64, down_ms: u64, keep_index: bool },
    /// A machine sleeps.
    Suspend { machine: usize, ms: u64 },
    /// A machine's process ends as it should, and the next one begins.
    Restart(usize),
    /// A remote cannot be reached for a while.
    Offline { remote: usize, ms: u64 },
    /// A disk is unmounted for a while: its empty mount point takes writes, and hides what is put there later.
    Unmount { remote: usize, ms: u64 },
    /// Two remotes change places for a while.
    Swap { a: usize, b: usize, ms: u64 },
    /// A remote of another pool lies in a remote's place for a while.
    Foreign { remote: usize, ms: u64 },
    /// A remote is gone for good.
    Lose(usize),
    /// A remote loses all objects for good.
    Wipe(usize),
    /// A remote is set back after a while to what it holds now.
    Rollback { remote: usize, ms: u64 },
    /// A remote takes no more for a while.
    Full { remote: usize, ms: u64 },
}

/// What a user can do. Paths are numbers of the plan's small set.
#[allow(missing_docs, reason = "the fields of a variant need no more words than their names")]
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Stores a file.
    Put { path: usize, content: Content, from_file: bool },
    /// Stores a directory of files.
    PutTree { directory: usize, contents: Vec<Content> },
    /// Deletes a file.
    Delete(usize),
    /// Deletes a directory and all below it.
    DeleteTree(usize),
    /// Makes a directory.
    Mkdir(usize),
    /// Moves a file over another path.
    Rename(usize, usize),
    /// Moves a directory.
    RenameTree(usize, usize),
    /// Lists anew, and reads a file whole and in part.
    Read(usize),
    /// Lists anew and waits until remotes have what they lack.
    Settle,
    /// Merges small commits.
    Compact,
    /// Collects what nobody refers to, waiting this long between the marks.
    Collect { grace_ms: u64 },
    /// Takes care of the pool.
    Care(Care),
}

/// A file's content: which bytes, and how often it was touched since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Content {
    /// Says which bytes.
    pub bytes: u32,
    /// Changes the modification time alone.
    pub touch: u32,
}

impl Content {
    /// The modification time, which names the content wherever it goes.
    pub fn mtime_ns(self) -> i64 {
        (i64::from(self.bytes) * 1000 + i64::from(self.touch) + 1) * 1_000_000_000
    }

    /// The content that a modification time names.
    pub fn of(mtime_ns: i64) -> Option<Self> {
        let n = u64::try_from(mtime_ns / 1_000_000_000 - 1).ok()?;
        Some(Self { bytes: u32::try_from(n / 1000).ok()?, touch: u32::try_from(n % 1000).ok()? })
    }

    /// How many bytes.
    fn size(self, random: &mut SplitMix) -> u64 {
        match random.below(10) {
            0 => 0,
            1..=3 => random.below(4096),
            4 | 5 => 4097 + random.below(CHUNK_BYTES / 16 - 4096),
            6 | 7 => 4097 + random.below(60_000),
            _ => 65_537 + random.below(3 * CHUNK_BYTES),
        }
    }

    fn random(self) -> SplitMix {
        SplitMix(u64::from(self.bytes) ^ 0x5eed)
    }

    /// Whether it shares a chunk with others.
    fn is_packed(self) -> bool {
        (4097..=CHUNK_BYTES / 16).contains(&self.size(&mut self.random()))
    }

    /// The bytes themselves.
    pub fn make(self) -> Vec<u8> {
        let mut random = self.random();
        let size = usize::try_from(self.size(&mut random)).unwrap_or(0);
        let mut bytes = Vec::with_capacity(size + 8);
        // Every other one gets smaller when it is compressed.
        let some = if self.bytes.is_multiple_of(2) { 0x0f0f_0f00_0000_0f0f } else { u64::MAX };
        while bytes.len() < size {
            bytes.extend_from_slice(&(random.bits() & some).to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}.{}", self.bytes, self.touch)
    }
}

/// The files that are stored, read and moved.
pub const FILES: [&str; 8] = ["/f0", "/f1", "/f2", "/d0/x", "/d0/y", "/d1/x", "/d0/s/z", "/f0/under"];
/// The directories that are stored, made and moved.
pub const DIRECTORIES: [&str; 4] = ["/d0", "/d1", "/d0/s", "/d2"];

/// So many contents are few.
const FEW: u64 = 6;
/// A world has at most so many remotes, and at least three.
pub(super) const REMOTES_MOST: usize = 5;

impl Plan {
    /// Draws a plan.
    pub fn draw(seed: u64, options: &Options) -> Self {
        let mut random = SplitMix(seed ^ 0x9a1e_77e5);
        let remotes = 3 + random.below(REMOTES_MOST as u64 - 2) as usize;
        let modes: &[Redundancy] = if remotes > 3 { &MODES } else { &MODES[..4] };
        let redundancy = modes[random.below(modes.len() as u64) as usize];
        let machines = 2 + random.below(2) as usize;
        let skews = [0, 0, 0, -30_000, 45_000, 3_600_000, -86_400_000];
        let mut machine =
            || MachinePlan { skew_ms: skews[random.below(skews.len() as u64) as usize], retries: random.chance(0.4) };
        let machines: Vec<MachinePlan> = (0..machines).map(|_| machine()).collect();
        let faults = draw_faults(&mut random, options);
        let steps = draw_steps(&mut random, options, machines.len(), remotes, redundancy.tolerated());
        // In a third of them the trash is off, as it is where nobody takes care.
        let trash_hours = if options.care { [0, 1, 24][random.below(3) as usize] } else { 0 };
        let compression = seed.is_multiple_of(3).then_some(1);
        let deduplication = options.duplicates;
        let chunker = if deduplication && seed.is_multiple_of(2) { Chunker::FastCdc } else { Chunker::Fixed };
        Self { seed, remotes, redundancy, compression, deduplication, chunker, trash_hours, machines, faults, steps }
    }
}

const fn redundancy(mode: crate::redundancy::RedundancyMode, data: u8, parity: u8, copies: u8) -> Redundancy {
    Redundancy { mode, data, parity, copies }
}

pub(super) const MODES: [Redundancy; 7] = {
    use crate::redundancy::RedundancyMode::{Hybrid, None, Parity, Replication};
    [
        redundancy(Parity, 2, 1, 1),
        redundancy(Replication, 1, 0, 2),
        redundancy(None, 1, 0, 1),
        redundancy(None, 1, 0, 1),
        redundancy(Parity, 3, 1, 1),
        redundancy(Parity, 2, 2, 1),
        redundancy(Hybrid, 1, 1, 2),
    ]
};

fn draw_faults(random: &mut SplitMix, options: &Options) -> FaultPlan {
    let latency = Duration::from_millis(1)..Duration::from_millis(5 + random.below(200));
    if !options.faults {
        return FaultPlan { latency, ..FaultPlan::default() };
    }
    // A third without: then everything must work.
    let rate = [0.0, 0.003, 0.015][random.below(3) as usize];
    let mut some = |most: f64| if random.chance(0.5) { most } else { 0.0 };
    FaultPlan {
        unavailable: some(rate),
        rate_limited: some(rate),
        timeout: some(rate),
        hang: some(rate / 4.0),
        put_partial: some(rate),
        put_unanswered: some(rate),
        get_flip: some(rate),
        get_cut: some(rate),
        get_short: some(rate),
        list_stale: if options.blurred { rate * 10.0 } else { 0.0 },
        latency,
    }
}

fn draw_steps(
    random: &mut SplitMix,
    options: &Options,
    machines: usize,
    remotes: usize,
    tolerated: usize,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at_ms = 0;
    let pace = 50 + random.below(1500);
    let few = options.duplicates.then(|| u32::try_from(1 + random.below(100_000)).unwrap_or(1));
    let mut drawn = Drawn { contents: 0, few, lost: 0 };
    for _ in 0..options.operations {
        at_ms += match random.below(100) {
            0 => 700_000 + random.below(100_000_000),
            1..=3 => random.below(60_000),
            _ => random.below(pace * 2),
        };
        let machine = random.below(machines as u64) as usize;
        let remote = random.below(remotes as u64) as usize;
        let trouble = if options.faults { random.below(100) } else { 100 };
        let scale = random.below(12);
        let while_ms = 500 + random.below(1 << (8 + scale));
        let what = match trouble {
            0..=4 => Some(What::Crash {
                machine,
                calls: 1 + random.below(40),
                down_ms: random.below(5_000),
                keep_index: random.chance(0.7),
            }),
            5 | 6 => Some(What::Suspend { machine, ms: while_ms }),
            7 => Some(What::Restart(machine)),
            8 | 9 => Some(What::Offline { remote, ms: while_ms }),
            10 => Some(What::Unmount { remote, ms: while_ms }),
            11 => Some(What::Swap { a: remote, b: (remote + 1) % remotes, ms: while_ms }),
            12 => Some(What::Foreign { remote, ms: while_ms }),
            13 => Some(What::Full { remote, ms: while_ms }),
            14 if drawn.lost < tolerated && random.chance(0.5) => {
                drawn.lost += 1;
                Some(match random.below(3) {
                    0 => What::Lose(remote),
                    1 => What::Wipe(remote),
                    _ => What::Rollback { remote, ms: while_ms },
                })
            }
            _ => None,
        };
        steps.extend(what.map(|what| Step { at_ms, what }));
        let action = drawn.action(random, options);
        steps.push(Step { at_ms, what: What::Do(machine, action) });
    }
    steps
}

struct Drawn {
    contents: u32,
    /// The first of the few contents that there are.
    few: Option<u32>,
    lost: usize,
}

impl Drawn {
    fn content(&mut self, random: &mut SplitMix) -> Content {
        if let Some(first) = self.few {
            let (bytes, touch) = (random.below(FEW), random.below(4));
            return Content {
                bytes: first + u32::try_from(bytes).unwrap_or(0),
                touch: u32::try_from(touch).unwrap_or(0),
            };
        }
        // Mostly new; now and then one that was stored before, touched or not: resumed, or there already.
        if self.contents == 0 || random.chance(0.75) {
            self.contents += 1;
            return Content { bytes: self.contents, touch: 0 };
        }
        let back = 1 + random.below(u64::from(self.contents).min(4));
        let bytes = self.contents + 1 - u32::try_from(back).unwrap_or(1);
        Content { bytes, touch: u32::from(random.chance(0.3)) }
    }

    /// A new one that shares a chunk with others; of few the next one.
    fn packed(&mut self) -> Content {
        if let Some(first) = self.few {
            self.contents += 1;
            let packed = (first..).map(|bytes| Content { bytes, touch: 0 }).filter(|content| content.is_packed());
            let mut packed = packed.take(4).collect::<Vec<_>>();
            return packed.swap_remove(self.contents as usize % packed.len());
        }
        loop {
            self.contents += 1;
            let content = Content { bytes: self.contents, touch: 0 };
            if content.is_packed() {
                return content;
            }
        }
    }

    fn action(&mut self, random: &mut SplitMix, options: &Options) -> Action {
        let file = |random: &mut SplitMix| {
            // The last one lies below a file: seldom.
            let all = FILES.len() as u64 - u64::from(random.chance(0.7));
            random.below(all) as usize
        };
        let directory = |random: &mut SplitMix| random.below(DIRECTORIES.len() as u64) as usize;
        if options.care && random.chance(0.25) {
            return Action::Care(Care::draw(random));
        }
        match random.below(100) {
            0..=39 => Action::Put { path: file(random), content: self.content(random), from_file: random.chance(0.5) },
            40..=42 => Action::PutTree {
                directory: directory(random),
                contents: (0..2 + random.below(3)).map(|_| self.packed()).collect(),
            },
            43..=45 => Action::PutTree {
                directory: directory(random),
                contents: (0..1 + random.below(4)).map(|_| self.content(random)).collect(),
            },
            46..=54 => Action::Delete(file(random)),
            55..=56 => Action::DeleteTree(directory(random)),
            57..=59 => Action::Mkdir(directory(random)),
            60..=66 => Action::Rename(file(random), file(random)),
            67..=70 => Action::RenameTree(directory(random), directory(random)),
            71..=83 => Action::Read(file(random)),
            84..=88 => Action::Settle,
            89..=94 => Action::Compact,
            _ if options.collect => Action::Collect { grace_ms: 1_000 + random.below(60_000) },
            _ => Action::Read(file(random)),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = |n: &usize| FILES[*n % FILES.len()];
        let directory = |n: &usize| DIRECTORIES[*n % DIRECTORIES.len()];
        match self {
            Self::Put { path, content, from_file } => {
                write!(f, "put {content} {} {}", if *from_file { "from a file to" } else { "to" }, file(path))
            }
            Self::PutTree { directory: d, contents } => {
                let all: Vec<String> = contents.iter().map(Content::to_string).collect();
                write!(f, "put {} below {}", all.join(" "), directory(d))
            }
            Self::Delete(path) => write!(f, "delete {}", file(path)),
            Self::DeleteTree(path) => write!(f, "delete -r {}", directory(path)),
            Self::Mkdir(path) => write!(f, "mkdir {}", directory(path)),
            Self::Rename(from, to) => write!(f, "move {} {}", file(from), file(to)),
            Self::RenameTree(from, to) => write!(f, "move {} {}", directory(from), directory(to)),
            Self::Read(path) => write!(f, "read {}", file(path)),
            Self::Settle => f.write_str("settle"),
            Self::Compact => f.write_str("compact"),
            Self::Care(care) => care.fmt(f),
            Self::Collect { grace_ms } => write!(f, "collect with a grace of {grace_ms} ms"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            What::Do(machine, action) => write!(f, "machine {machine}: {action}"),
            other => write!(f, "{other:?}"),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {} remotes, {}, compression {:?}, deduplication {}, chunks {}, {} h of trash",
            self.seed,
            self.remotes,
            self.redundancy,
            self.compression,
            self.deduplication,
            self.chunker,
            self.trash_hours
        )?;
        writeln!(f, "faults {:?}", self.faults)?;
        for (n, machine) in self.machines.iter().enumerate() {
            writeln!(f, "machine {n}: clock {:+} ms, retries: {}", machine.skew_ms, machine.retries)?;
        }
        for step in &self.steps {
            writeln!(f, "{:>9} ms  {step}", step.at_ms)?;
        }
        Ok(())
    }
}
