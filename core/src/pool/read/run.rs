//! One fetch of neighbouring blocks, for whoever wants them.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::map::ChunkMap;
use crate::error::{Error, ErrorKind, Result};
use crate::pool::Pool;
use crate::pool::fetch::ChunkReader;

/// A run that is to go no further ends after this time, as it holds buffers and connections; who wants more begins anew.
const IDLE: Duration = Duration::from_secs(10);

/// A fetch under way. It ends when nobody holds it any more.
pub(super) struct Run {
    pool: std::sync::Weak<Pool>,
    map: Arc<ChunkMap>,
    blocks: Range<u64>,
    id: u64,
    reach: watch::Sender<Reach>,
    is_over: Arc<AtomicBool>,
    task: OnceLock<AbortOnDropHandle<()>>,
}

/// How far it goes, as block numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    /// Ahead of anybody's need.
    allowed: u64,
    /// Somebody waits for what lies before.
    demanded: u64,
}

impl Reach {
    pub fn end(&self) -> u64 {
        self.allowed.max(self.demanded)
    }
}

impl Run {
    /// Starts to fetch `blocks`; one that must waits for memory, others do without.
    pub fn start(pool: &Arc<Pool>, map: &Arc<ChunkMap>, blocks: Range<u64>, id: u64, must: bool) -> Arc<Self> {
        let (reach, told) = watch::channel(Reach { allowed: if must { 0 } else { blocks.end }, demanded: 0 });
        let is_over = Arc::new(AtomicBool::new(false));
        let run = Arc::new(Self {
            pool: Arc::downgrade(pool),
            map: map.clone(),
            blocks: blocks.clone(),
            id,
            reach,
            is_over: is_over.clone(),
            task: OnceLock::new(),
        });
        let (pool, map) = (pool.clone(), map.clone());
        let task = tokio::spawn(async move {
            let mut next = blocks.start;
            let done = fetch(&pool, &map, blocks.end, &mut next, told, must).await;
            is_over.store(next < blocks.end, Relaxed);
            pool.blocks.ended(map.record.chunk, next..blocks.end, id, done.err().as_ref());
        });
        let _ = run.task.set(AbortOnDropHandle::new(task));
        run
    }

    /// Somebody waits for the blocks before this one.
    pub fn demand(&self, end: u64) {
        self.reach.send_if_modified(|reach| {
            let more = reach.demanded < end;
            reach.demanded = reach.demanded.max(end);
            more
        });
    }

    /// How far it may go ahead.
    pub fn allow(&self, end: u64) {
        self.reach.send_if_modified(|reach| std::mem::replace(&mut reach.allowed, end) != end);
    }

    /// How far it was told to go.
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.reach.subscribe()
    }

    pub fn blocks(&self) -> &Range<u64> {
        &self.blocks
    }

    pub fn map(&self) -> &Arc<ChunkMap> {
        &self.map
    }

    /// Whether it ended before its end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.blocks.ended(self.map.record.chunk, self.blocks.clone(), self.id, None);
        }
    }
}

async fn fetch(
    pool: &Arc<Pool>,
    map: &Arc<ChunkMap>,
    end: u64,
    next: &mut u64,
    mut reach: watch::Receiver<Reach>,
    must: bool,
) -> Result<()> {
    let chunk = map.record.chunk;
    let plain = map.bytes(&(*next..end));
    let bytes = ChunkReader::memory(&map.record, &plain);
    let _memory = if must {
        pool.acquire_memory(bytes).await?
    } else {
        let Some(memory) = pool.blocks.room(bytes) else { return Ok(()) };
        memory
    };
    let mut reader = ChunkReader::open_within(pool.clone(), map.record.clone(), plain).await?;
    while *next < end {
        let from = *next;
        let told = timeout(IDLE, reach.wait_for(|reach| reach.end() > from)).await;
        let Ok(Ok(told)) = told.map(|told| told.map(|reach| *reach)) else { break };
        let blocks = from..(from + map.step(from)).min(end);
        // What is fetched ahead has to stay somewhere; what somebody waits for is handed to him.
        let mut room = pool.blocks.room(room_for(map, blocks));
        if room.is_none() && told.demanded <= from {
            match timeout(IDLE, reach.wait_for(|reach| reach.demanded > from)).await {
                Ok(Ok(_)) => continue,
                _ => break,
            }
        }
        let pieces = reader.next().await.inspect_err(|_| pool.blocks.forget(chunk))?;
        for piece in pieces.unwrap_or_default() {
            if piece.len() as u64 != length(map, *next) {
                return Err(Error::new(ErrorKind::Internal, format!("block {next} of chunk {chunk} is cut")));
            }
            let bytes = piece.len() as u64;
            let memory = match &mut room {
                Some(room) => room.split(usize::try_from(bytes.div_ceil(1024)).unwrap_or(usize::MAX)),
                None => pool.blocks.room(bytes),
            };
            pool.blocks.arrived((chunk, *next), piece, memory);
            *next += 1;
        }
        if *next == from {
            return Err(Error::new(ErrorKind::Internal, format!("chunk {chunk} ends early")));
        }
    }
    if reader.is_degraded() {
        pool.blocks.forget(chunk);
    }
    Ok(())
}

fn length(map: &ChunkMap, block: u64) -> u64 {
    let bytes = map.bytes(&(block..block + 1));
    bytes.end - bytes.start
}

/// Memory is counted in KiB, and each block has its own.
fn room_for(map: &ChunkMap, blocks: Range<u64>) -> u64 {
    blocks.map(|block| length(map, block).next_multiple_of(1024)).sum()
}
