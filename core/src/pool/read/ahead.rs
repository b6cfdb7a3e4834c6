//! Who reads on where he stopped, and what he will want next.

use std::ops::Range;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError, Weak};

use super::FileHandle;
use super::run::Run;
use crate::pool::Pool;

/// Readers of one file that are told apart; players side by side, say.
const STREAMS: usize = 8;
/// Reads this near to where one ended go on from it: several are often under way at once.
const NEAR_BYTES: u64 = 1 << 20;
/// What is fetched ahead at first; it doubles whenever half of it is used up.
pub(super) const FIRST_BYTES: u64 = 2 << 20;

/// The streams of one file, the one read last at the front.
#[derive(Default)]
pub(super) struct Streams(Vec<Stream>);

struct Stream {
    id: u64,
    /// Where it reads next.
    next: u64,
    /// What was fetched ahead so far ends here.
    until: u64,
    /// How far ahead of the reader it was last.
    window: u64,
    runs: Vec<(u64, Arc<Run>)>,
    counted: Option<Counted>,
}

/// A stream that shares what may be fetched ahead.
struct Counted(Weak<Pool>);

impl Counted {
    fn new(pool: &Arc<Pool>) -> Self {
        pool.blocks.streams().fetch_add(1, Relaxed);
        Self(Arc::downgrade(pool))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.blocks.streams().fetch_sub(1, Relaxed);
        }
    }
}

/// What to fetch ahead for a stream.
pub(super) struct Plan {
    stream: u64,
    range: Range<u64>,
}

impl Streams {
    /// Notes a read. `Some` when it goes on where one ended, with what to fetch ahead (maybe nothing).
    pub fn note(&mut self, pool: &Arc<Pool>, range: &Range<u64>) -> Option<Plan> {
        let is_near = |s: &Stream| range.start <= s.next + NEAR_BYTES && range.start + NEAR_BYTES >= s.next;
        let Some(at) = self.0.iter().position(is_near) else {
            // Somebody looks elsewhere: what is on its way for the others must not keep him waiting.
            self.0.iter().flat_map(|stream| &stream.runs).for_each(|(_, run)| run.allow(0));
            let id = self.0.iter().map(|stream| stream.id + 1).max().unwrap_or(0);
            let (next, window, runs) = (range.end, FIRST_BYTES / 2, Vec::new());
            self.0.insert(0, Stream { id, next, until: 0, window, runs, counted: None });
            self.0.truncate(STREAMS);
            return None;
        };
        if self.0.get(at).is_some_and(|stream| range.end <= stream.next) {
            return None;
        }
        let mut stream = self.0.remove(at);
        stream.next = range.end;
        stream.runs.retain(|(end, _)| *end > stream.next);
        let gave_up = stream.runs.iter().any(|(_, run)| run.is_over());
        stream.runs.retain(|(_, run)| !run.is_over());
        stream.runs.iter().for_each(|(_, run)| run.allow(run.blocks().end));
        stream.counted.get_or_insert_with(|| Counted::new(pool));
        if gave_up || stream.until < stream.next {
            stream.until = stream.next;
        }
        let most = pool.blocks.window();
        let mut plan = Plan { stream: stream.id, range: 0..0 };
        if stream.until - stream.next <= stream.window / 2 && most > 0 {
            stream.window = (stream.window * 2).min(most);
            plan.range = stream.until..(stream.next + stream.window).max(stream.until);
        }
        self.0.insert(0, stream);
        Some(plan)
    }
}

impl FileHandle {
    /// Fetches ahead what a stream will want; what cannot be had now is left to whoever wants it.
    pub(super) fn fetch_ahead(&self, plan: Plan) {
        let Ok(parts) = self.parts(self.cut(&plan.range)) else { return };
        let (mut until, mut runs) = (plan.range.start, Vec::new());
        for part in parts {
            let blocks = part.map.blocks(&part.in_chunk());
            // Blocks are fetched whole.
            let in_extent = |byte: u64| part.in_file(byte.min(part.extent.chunk_offset + part.extent.length));
            until = until.max(in_extent(part.map.bytes(&blocks).end));
            for run in self.pool.blocks.fetch_ahead(&self.pool, &part.map, blocks) {
                runs.push((in_extent(run.map().bytes(run.blocks()).end), run));
            }
        }
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.0.iter_mut().find(|stream| stream.id == plan.stream) {
            stream.until = stream.until.max(until);
            stream.runs.extend(runs);
        }
    }
}
