//! Reading a range of a chunk's stored stream: k verified units of every row, from whichever shards give them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use super::Pool;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::{ChunkRecord, Place};
use crate::stage::layout::MAX_UNIT_BYTES;
use crate::stage::stripe;

mod feed;
mod plain;
mod speed;
mod units;

use feed::{Feed, Resort};
pub(super) use plain::ChunkReader;
pub(super) use speed::Speeds;
pub(super) use units::{check_shard, read_units, unit_checks};

/// Verified units that wait between a shard's reader and the row they belong to.
const UNITS_AHEAD: usize = 3;
/// From here on a read draws on the least busy remotes.
const LONG_BYTES: u64 = 4 * MAX_UNIT_BYTES as u64;

/// The bytes of a range of one chunk's stored stream, in order.
///
/// Every unit is held against its CRC-32C. A unit that is missing or damaged is rebuilt from the other
/// shards of its row, verified ones only; the shard it came from is asked again only for rows that cannot
/// be had without it.
pub(super) struct StoredReader {
    pool: Arc<Pool>,
    chunk: ChunkRecord,
    range: Range<u64>,
    /// Shards wanted as they are, instead of the range's bytes.
    shards: Option<BTreeSet<usize>>,
    /// The next row to give.
    row: u64,
    last_row: u64,
    /// By shard index.
    feeds: BTreeMap<usize, Feed>,
    /// Other copies of shards that are late.
    rivals: BTreeMap<usize, Feed>,
    /// Places that were late.
    late: Vec<Place>,
    /// Whether rows are had from any k shards, as one that is needed lies on a slow remote.
    roundabout: bool,
    /// Places that failed or cannot be reached, with the reason.
    bad: Vec<(Place, Trouble, Error)>,
    /// Whether a shard that holds the bytes as they are is on no remote that is online.
    is_away: bool,
    /// Whether the journal was listed again because a shard was absent.
    listed_again: bool,
    /// For the units that wait here.
    _memory: Option<OwnedSemaphorePermit>,
}

/// How much of a shard object is no good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Some of it; other units may be good.
    Somewhere,
    /// The unit of this row.
    Row(u64),
    /// All of it.
    All,
}

impl Trouble {
    /// Whether an object with this trouble is not to be asked for a row; with
    /// `nothing_left` beside it, one that is damaged elsewhere may do.
    fn bars(self, row: u64, nothing_left: bool) -> bool {
        match self {
            Self::Somewhere => !nothing_left,
            Self::Row(bad) => !nothing_left || bad == row,
            Self::All => true,
        }
    }
}

impl StoredReader {
    /// What reading `range` of the stream takes, in bytes.
    fn memory_of(chunk: &ChunkRecord, range: &Range<u64>) -> u64 {
        let row_bytes = chunk.layout.row_bytes();
        let rows = range.end.div_ceil(row_bytes).saturating_sub(range.start / row_bytes);
        row_bytes * rows.min(UNITS_AHEAD as u64 + 2)
    }

    /// Begins to read `range`, which lies in the stream; the shards' readers start at once. The memory
    /// ([`StoredReader::memory_of`]) is the caller's.
    async fn open(pool: Arc<Pool>, chunk: ChunkRecord, range: Range<u64>) -> Result<Self> {
        let row_bytes = chunk.layout.row_bytes();
        let (row, last_row) = (range.start / row_bytes, range.end.saturating_sub(1) / row_bytes);
        let mut reader = Self {
            pool,
            chunk,
            range,
            shards: None,
            row,
            last_row,
            feeds: BTreeMap::new(),
            rivals: BTreeMap::new(),
            late: Vec::new(),
            roundabout: false,
            bad: Vec::new(),
            is_away: false,
            listed_again: false,
            _memory: None,
        };
        if !reader.range.is_empty() {
            reader.start().await;
        }
        Ok(reader)
    }

    /// What reading all of the stream takes, in bytes.
    pub fn memory(chunk: &ChunkRecord) -> u64 {
        Self::memory_of(chunk, &(0..chunk.stored))
    }

    /// Begins to read whole shards of a chunk, by index, for [`StoredReader::next_units`]. Shards that cannot
    /// be read are computed from the others; those at `damaged` places are not read. The memory
    /// ([`StoredReader::memory`]) is the caller's.
    pub async fn open_shards(
        pool: Arc<Pool>,
        chunk: ChunkRecord,
        shards: BTreeSet<usize>,
        damaged: &[Place],
    ) -> Result<Self> {
        let known =
            |place: &Place| (*place, Trouble::Somewhere, Error::new(ErrorKind::Corrupt, "is known to be damaged"));
        let mut reader = Self {
            pool,
            range: 0..chunk.stored,
            shards: Some(shards),
            row: 0,
            last_row: chunk.layout.rows(chunk.stored).saturating_sub(1),
            chunk,
            feeds: BTreeMap::new(),
            rivals: BTreeMap::new(),
            late: Vec::new(),
            roundabout: false,
            bad: damaged.iter().map(known).collect(),
            is_away: false,
            listed_again: false,
            _memory: None,
        };
        if !reader.range.is_empty() {
            reader.start().await;
        }
        Ok(reader)
    }

    /// Starts the shards' readers. A long read draws on the least busy remotes, parity included where that
    /// spares a quarter of a shard's time: rebuilding costs less than waiting. A short one asks only for what it needs.
    async fn start(&mut self) {
        let layout = self.chunk.layout;
        let k = usize::from(layout.data);
        let mut first_needed = BTreeMap::new();
        for index in 0..layout.shards() {
            if let Some(row) = (self.row..=self.last_row).find(|row| self.needs(index, *row)) {
                first_needed.insert(index, row);
            }
        }
        let mut available = Vec::new();
        for index in 0..layout.shards() {
            if let Some((place, remote)) = self.choose(index, self.row, Resort::Good).await {
                let bytes = self.bytes(index, self.row, self.last_row);
                let rebuilding = if index < k { 0 } else { bytes / 4 };
                let needed = if self.is_long() { bytes } else { layout.unit.into() };
                let is_slow = self.pool.speeds.is_slow(place.remote, needed);
                let load = self.pool.placement.load(place.remote) + bytes;
                available.push((is_slow, load + rebuilding, index));
                if is_slow && self.pool.speeds.is_probed(place.remote) {
                    self.probe(place, remote);
                }
            }
        }
        let is_needed = |index: &usize| first_needed.contains_key(index);
        let here = |i: &usize| available.iter().any(|(_, _, index)| index == i);
        self.is_away = !first_needed.keys().all(here);
        let fast = available.iter().filter(|(is_slow, ..)| !is_slow).count();
        self.roundabout = fast >= k && available.iter().any(|(is_slow, _, index)| *is_slow && is_needed(index));
        if self.is_long() && self.shards.is_none() {
            available.sort_unstable();
        } else if !self.is_away && !self.roundabout {
            available.retain(|(_, _, index)| is_needed(index));
        } else {
            // The row has to be rebuilt: what is needed first, then what helps.
            let order = |(is_slow, load, index): &(bool, u64, usize)| (*is_slow, !is_needed(index), *load, *index);
            available.sort_by_key(order);
        }
        for (_, _, index) in available.into_iter().take(k) {
            let row = first_needed.get(&index).copied().filter(|_| !self.roundabout).unwrap_or(self.row);
            self.open_feed(index, row, Resort::Good).await;
        }
    }

    fn is_long(&self) -> bool {
        self.range.end - self.range.start >= LONG_BYTES
    }

    /// The next bytes: the units of one row, as far as they lie in the range; `None` at its end.
    ///
    /// # Errors
    /// `Unrecoverable` when too few shards are left, `Unavailable` when the missing ones are on remotes
    /// that are offline.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>> {
        if self.range.is_empty() || self.row > self.last_row {
            return Ok(None);
        }
        let row = self.row;
        let units = self.row_units().await?;
        Ok(Some(self.cut(&units, row)))
    }

    /// The wanted shards' units of the next row, by shard index; `None` at the chunk's end. Other units
    /// may be there too, all verified.
    ///
    /// # Errors
    /// As [`StoredReader::next`].
    pub async fn next_units(&mut self) -> Result<Option<Vec<Option<Bytes>>>> {
        if self.range.is_empty() || self.row > self.last_row {
            return Ok(None);
        }
        self.row_units().await.map(Some)
    }

    async fn row_units(&mut self) -> Result<Vec<Option<Bytes>>> {
        let row = self.row;
        let shards = self.chunk.layout.shards();
        let needed: Vec<usize> = (0..shards).filter(|i| self.needs(*i, row)).collect();
        let mut units: Vec<Option<Bytes>> = vec![None; self.chunk.layout.shards()];
        // First what the feeds already bring.
        let flowing: Vec<usize> = self.feeds.iter().filter(|(_, f)| f.next_row == row).map(|(i, _)| *i).collect();
        self.gather(&mut units, &needed, row, flowing).await;
        let complete = |units: &[Option<Bytes>]| needed.iter().all(|i| units[*i].is_some());
        // A unit that is not there may lie in another copy of its shard.
        for index in &needed {
            while units[*index].is_none()
                && !self.has_enough(&units, row)
                && self.open_feed(*index, row, Resort::Good).await
            {
                self.gather(&mut units, &needed, row, vec![*index]).await;
            }
        }
        if !complete(&units) {
            self.rebuild(&mut units, &needed, row).await?;
        }
        self.row += 1;
        Ok(units)
    }

    /// Whether the range touches this shard's unit of the row, or the shard itself is wanted.
    fn needs(&self, index: usize, row: u64) -> bool {
        let layout = &self.chunk.layout;
        if let Some(shards) = &self.shards {
            return shards.contains(&index) && layout.unit_len(self.chunk.stored, index, row) > 0;
        }
        if index >= usize::from(layout.data) {
            return false;
        }
        let start = row * layout.row_bytes() + index as u64 * u64::from(layout.unit);
        let end = start + u64::from(layout.unit_len(self.chunk.stored, index, row));
        start < end && start < self.range.end && end > self.range.start
    }

    /// Whether a row has k units (absent ones at a chunk's end count: they are known to be zeros).
    fn has_enough(&self, units: &[Option<Bytes>], row: u64) -> bool {
        self.known(units, row) >= usize::from(self.chunk.layout.data)
    }

    fn known(&self, units: &[Option<Bytes>], row: u64) -> usize {
        let (layout, stored) = (&self.chunk.layout, self.chunk.stored);
        let known = |(index, unit): (usize, &Option<Bytes>)| unit.is_some() || layout.unit_len(stored, index, row) == 0;
        units.iter().enumerate().filter(|u| known(*u)).count()
    }

    /// Fetches units of the row until there are k, and computes those of the needed ones that are missing.
    async fn rebuild(&mut self, units: &mut [Option<Bytes>], needed: &[usize], row: u64) -> Result<()> {
        for resort in [Resort::Good, Resort::Late, Resort::Damaged] {
            loop {
                let mut opened = Vec::new();
                for index in 0..units.len() {
                    let has_unit = self.chunk.layout.unit_len(self.chunk.stored, index, row) > 0;
                    let enough = self.known(units, row) + opened.len() >= usize::from(self.chunk.layout.data);
                    if units[index].is_none() && has_unit && !enough && self.open_feed(index, row, resort).await {
                        opened.push(index);
                    }
                }
                if opened.is_empty() {
                    break;
                }
                self.gather(units, needed, row, opened).await;
            }
        }
        if !self.has_enough(units, row) {
            return Err(self.lost(units, row));
        }
        let missing: Vec<usize> = needed.iter().copied().filter(|index| units[*index].is_none()).collect();
        stripe::rebuild_row(&self.chunk.layout, self.chunk.stored, row, units, &missing)?;
        for index in missing {
            let recorded = self.crc(index, row);
            if units[index].as_ref().map(|unit| stripe::unit_crc(unit)) != recorded {
                return Err(Error::new(
                    ErrorKind::Corrupt,
                    format!(
                        "chunk {}: row {row} of shard {index} was rebuilt and does not match its checksum",
                        self.chunk.chunk
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The checksum recorded for a unit.
    fn crc(&self, index: usize, row: u64) -> Option<u32> {
        self.chunk.units.get(index)?.0.get(usize::try_from(row).ok()?).copied()
    }

    fn bytes(&self, index: usize, from: u64, to: u64) -> u64 {
        let unit = |row| u64::from(self.chunk.layout.unit_len(self.chunk.stored, index, row));
        (from..=to).map(unit).sum()
    }

    /// A shard that is absent may have moved: list the journal again, once.
    async fn list_again(&mut self) {
        if std::mem::replace(&mut self.listed_again, true) || self.pool.sync_again().await.is_err() {
            return;
        }
        if let Ok(chunk) = self.pool.chunk(self.chunk.chunk) {
            self.chunk.shards = chunk.record.shards;
        }
    }

    /// The bytes of the row that lie in the range.
    fn cut(&self, units: &[Option<Bytes>], row: u64) -> Vec<Bytes> {
        let layout = &self.chunk.layout;
        let mut pieces = Vec::new();
        for (index, unit) in units.iter().take(usize::from(layout.data)).enumerate() {
            let Some(unit) = unit.as_ref().filter(|_| self.needs(index, row)) else { continue };
            let start = row * layout.row_bytes() + index as u64 * u64::from(layout.unit);
            let from = self.range.start.saturating_sub(start).min(unit.len() as u64);
            let to = self.range.end.saturating_sub(start).min(unit.len() as u64);
            #[allow(clippy::cast_possible_truncation, reason = "at most a unit's length")]
            pieces.push(unit.slice(from as usize..to as usize));
        }
        pieces
    }

    fn lost(&self, units: &[Option<Bytes>], row: u64) -> Error {
        let (k, have) = (self.chunk.layout.data, self.known(units, row));
        let mut why: Vec<String> = self.bad.iter().map(|(p, _, e)| format!("shard {}: {e}", p.index)).collect();
        why.sort();
        // Away is not lost.
        let mut away = self.bad.iter().any(|(_, _, e)| e.is_retryable() || e.kind() == ErrorKind::Auth);
        why.dedup();
        let has_unit = |index| self.chunk.layout.unit_len(self.chunk.stored, index, row) > 0;
        for (index, _) in units.iter().enumerate().filter(|(index, unit)| unit.is_none() && has_unit(*index)) {
            let tried = |place: &Place| self.bad.iter().any(|(bad, _, _)| bad == place);
            for place in self.chunk.shards.iter().filter(|p| usize::from(p.index) == index && !tried(p)) {
                away = true;
                why.push(format!("shard {index}: remote {} is offline", self.pool.remote_label(place.remote)));
            }
        }
        let kind = if away { ErrorKind::Unavailable } else { ErrorKind::Unrecoverable };
        let hint =
            if away { "bring these remotes back" } else { "the content is gone, unless a copy exists elsewhere" };
        Error::new(
            kind,
            format!("chunk {}: {have} of the {k} shards it takes can be read: {}", self.chunk.chunk, why.join("; ")),
        )
        .hint(hint)
    }

    /// Whether a shard that holds the bytes as they are could not be read.
    pub fn is_degraded(&self) -> bool {
        self.is_away || !self.bad.is_empty()
    }
}

impl Drop for StoredReader {
    fn drop(&mut self) {
        let feeds = std::mem::take(&mut self.feeds).into_iter().chain(std::mem::take(&mut self.rivals));
        feeds.for_each(|(index, feed)| self.close(index, &feed));
    }
}
