//! The streams a reader draws on, and what it does about late ones.

use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::poll_fn;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::{StoredReader, Trouble, UNITS_AHEAD, read_units, unit_checks};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::Place;
use crate::remote::SharedRemote;

/// What is so many times as late, and this late, is had from others whatever that costs.
const OVERDUE: u32 = 4;
const OVERDUE_LEAST: Duration = Duration::from_secs(1);

/// Which places are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Resort {
    /// Those that did well so far.
    Good,
    /// Those too that were late.
    Late,
    /// Those too that are damaged elsewhere, for one row.
    Damaged,
}

/// One shard's units, arriving in order.
pub(super) struct Feed {
    place: Place,
    resort: Resort,
    first_row: u64,
    pub next_row: u64,
    end_row: u64,
    units: mpsc::Receiver<Result<Bytes>>,
    /// Since when its next unit is waited for.
    since: Instant,
    patience: Patience,
    _task: AbortOnDropHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Patience {
    Usual,
    /// It was late when nothing could be spared to ask others.
    Overdue,
    /// Others were asked, or there are none.
    Endless,
}

impl StoredReader {
    /// Takes a unit of `row` from each of these feeds, and others' instead where one is late and others can
    /// make up for it. A feed that fails is closed and its place not used again.
    pub(super) async fn gather(
        &mut self,
        units: &mut [Option<Bytes>],
        needed: &[usize],
        row: u64,
        mut from: Vec<usize>,
    ) {
        let now = Instant::now();
        for index in &from {
            // The first unit is waited for since it was asked for.
            if let Some(feed) =
                self.feeds.get_mut(index).filter(|feed| feed.since < now && feed.next_row > feed.first_row)
            {
                feed.since = now;
            }
        }
        let mut hedged = false;
        loop {
            let waiting: Vec<usize> =
                from.iter().copied().filter(|i| units[*i].is_none() && self.brings(*i, row)).collect();
            let done = needed.iter().all(|i| units[*i].is_some()) || self.has_enough(units, row);
            if waiting.is_empty() || (hedged && done) {
                waiting.into_iter().for_each(|index| self.give_up(index, row));
                return;
            }
            let late = self.late(&waiting, row);
            let at = late.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                biased;
                (index, is_rival, unit) = self.next_of(&waiting) => {
                    units[index] = self.take(index, is_rival, unit, row).await;
                }
                () = sleep_until(at), if late.is_some() => {
                    let more = self.hedge(units, &waiting, row).await;
                    hedged |= more.is_some();
                    from.extend(more.unwrap_or_default());
                }
            }
        }
    }

    fn brings(&self, index: usize, row: u64) -> bool {
        [&self.feeds, &self.rivals].iter().any(|feeds| feeds.get(&index).is_some_and(|feed| feed.next_row == row))
    }

    /// The next unit of any of these; `None` from a feed that ended.
    async fn next_of(&mut self, waiting: &[usize]) -> (usize, bool, Option<Result<Bytes>>) {
        poll_fn(|context| {
            for index in waiting {
                for (is_rival, feeds) in [(false, &mut self.feeds), (true, &mut self.rivals)] {
                    if let Some(feed) = feeds.get_mut(index)
                        && let Poll::Ready(unit) = feed.units.poll_recv(context)
                    {
                        return Poll::Ready((*index, is_rival, unit));
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes what a feed brought.
    async fn take(&mut self, index: usize, is_rival: bool, unit: Option<Result<Bytes>>, row: u64) -> Option<Bytes> {
        let feeds = if is_rival { &mut self.rivals } else { &mut self.feeds };
        let mut feed = feeds.remove(&index)?;
        match unit {
            Some(Ok(unit)) => {
                // The other copy is not waited for any more.
                if is_rival {
                    self.give_up(index, row);
                } else if let Some(rival) = self.rivals.remove(&index) {
                    self.close(index, &rival);
                }
                self.pool.placement.done(feed.place.remote, unit.len() as u64);
                feed.next_row += 1;
                (feed.since, feed.patience) = (Instant::now(), Patience::Usual);
                if feed.next_row <= feed.end_row {
                    self.feeds.insert(index, feed);
                }
                Some(unit)
            }
            failure => {
                let error = match failure {
                    Some(Err(error)) => error,
                    _ => Error::new(ErrorKind::Internal, "a shard's reader ended early"),
                };
                self.close(index, &feed);
                if let Some(rival) = self.rivals.remove(&index) {
                    self.feeds.insert(index, rival);
                }
                let place = feed.place;
                self.pool.warn_of(place.remote, &error, &format!("chunk {}, shard {index}", self.chunk.chunk));
                if error.kind() == ErrorKind::NotFound && self.pool.journal.rules().list_again {
                    self.list_again().await;
                }
                let trouble = match error.kind() {
                    ErrorKind::Corrupt if feed.resort == Resort::Damaged => Trouble::Row(row),
                    ErrorKind::Corrupt => Trouble::Somewhere,
                    _ => Trouble::All,
                };
                self.pool.note_bad(self.chunk.chunk, place, &error);
                self.bad.push((place, trouble, error));
                None
            }
        }
    }

    /// When the first of these is late.
    fn late(&self, waiting: &[usize], row: u64) -> Option<Instant> {
        waiting.iter().filter_map(|index| self.feeds.get(index).and_then(|feed| self.late_at(*index, feed, row))).min()
    }

    fn late_at(&self, index: usize, feed: &Feed, row: u64) -> Option<Instant> {
        let unit = self.bytes(index, row, row);
        let usual = self.pool.speeds.late_after(feed.place.remote, unit);
        let after = match feed.patience {
            // Streams share their remotes' bandwidth with others that come and go.
            Patience::Usual if feed.next_row > feed.first_row => usual * 2,
            Patience::Usual => usual,
            Patience::Overdue => (usual * OVERDUE).max(OVERDUE_LEAST),
            Patience::Endless => return None,
        };
        Some(feed.since + after)
    }

    /// Asks others for what is late: another copy of the shard, or as many other shards as it takes. Gives back the
    /// shards that bring more, or `None` when nobody was asked.
    async fn hedge(&mut self, units: &[Option<Bytes>], waiting: &[usize], row: u64) -> Option<Vec<usize>> {
        let now = Instant::now();
        let is_late = |reader: &Self, i: &usize| {
            reader.feeds.get(i).is_some_and(|f| reader.late_at(*i, f, row).is_some_and(|at| at <= now))
        };
        let late: Vec<usize> = waiting.iter().copied().filter(|index| is_late(self, index)).collect();
        let overdue = |reader: &Self, i: &usize| reader.feeds.get(i).is_some_and(|f| f.patience == Patience::Overdue);
        let must = late.iter().any(|index| overdue(self, index));
        // Copies of the late shards, as far as there are any; for the others, other shards.
        let mut copies = Vec::new();
        for index in &late {
            if let Some((place, remote)) = self.choose_other(*index, row).await {
                copies.push((*index, place, remote));
            }
        }
        let k = usize::from(self.chunk.layout.data);
        let coming = waiting.len() - late.len() + copies.len();
        let lacking = if copies.len() == late.len() { 0 } else { k.saturating_sub(self.known(units, row) + coming) };
        let mut others = Vec::new();
        for index in (0..units.len()).filter(|i| units[*i].is_none() && !waiting.contains(i)) {
            let has_unit = self.chunk.layout.unit_len(self.chunk.stored, index, row) > 0;
            if has_unit && let Some((place, _)) = self.choose(index, row, Resort::Good).await {
                others.push((self.pool.speeds.is_slow(place.remote, self.bytes(index, row, row)), index));
            }
        }
        others.sort_unstable();
        let possible = others.len() >= lacking && copies.len() + lacking > 0;
        let affordable = possible && (self.pool.speeds.spend(copies.len() + lacking) || must);
        for index in &late {
            if let Some(feed) = self.feeds.get_mut(index) {
                feed.patience = if possible && !affordable { Patience::Overdue } else { Patience::Endless };
            }
        }
        if !affordable {
            return None;
        }
        tracing::debug!(chunk = %self.chunk.chunk, row, ?late, "late, and asked of others");
        for (index, place, remote) in copies {
            if let Some(feed) = self.feed(index, row, place, remote, Resort::Good) {
                self.rivals.insert(index, feed);
            }
        }
        let mut more = Vec::new();
        for (_, index) in others.into_iter().take(lacking) {
            if self.open_feed(index, row, Resort::Good).await {
                more.push(index);
            }
        }
        Some(more)
    }

    /// Does without a feed that has not brought its unit of `row`.
    fn give_up(&mut self, index: usize, row: u64) {
        let unit = self.bytes(index, row, row);
        for feed in [self.feeds.remove(&index), self.rivals.remove(&index)].into_iter().flatten() {
            // One that was asked to make up for another was not late itself.
            if feed.patience != Patience::Usual {
                self.pool.speeds.cut(feed.place.remote, unit, feed.since.elapsed());
                self.late.push(feed.place);
            }
            self.close(index, &feed);
        }
    }

    fn close_feed(&mut self, index: usize) {
        for feed in [self.feeds.remove(&index), self.rivals.remove(&index)].into_iter().flatten() {
            self.close(index, &feed);
        }
    }

    /// Takes what a feed will not bring any more off its remote's load.
    pub(super) fn close(&self, index: usize, feed: &Feed) {
        self.pool.placement.done(feed.place.remote, self.bytes(index, feed.next_row, feed.end_row));
    }

    /// A place of this shard on a remote that is online, whose object may have the unit of `row`.
    pub(super) async fn choose(&mut self, index: usize, row: u64, resort: Resort) -> Option<(Place, SharedRemote)> {
        self.choose_but(index, row, resort, None).await
    }

    /// Another copy of a shard than the one that is read.
    async fn choose_other(&mut self, index: usize, row: u64) -> Option<(Place, SharedRemote)> {
        let taken = self.feeds.get(&index).map(|feed| feed.place);
        if self.rivals.contains_key(&index) {
            return None;
        }
        self.choose_but(index, row, Resort::Good, taken).await
    }

    async fn choose_but(
        &mut self,
        index: usize,
        row: u64,
        resort: Resort,
        taken: Option<Place>,
    ) -> Option<(Place, SharedRemote)> {
        let view = self.pool.view().await;
        let unit = self.bytes(index, row, row);
        let mut slow: Option<(Place, SharedRemote)> = None;
        for place in self.chunk.shards.iter().filter(|p| usize::from(p.index) == index && Some(**p) != taken) {
            let is_barred = |(bad, trouble, _): &(Place, Trouble, Error)| {
                bad == place && trouble.bars(row, resort == Resort::Damaged)
            };
            if self.bad.iter().any(is_barred) || (resort == Resort::Good && self.late.contains(place)) {
                continue;
            }
            if let Some(remote) = view.handle(place.remote, self.pool.journal.remotes()) {
                if !self.pool.speeds.is_slow(place.remote, unit) {
                    if let Some((slow, remote)) = slow.filter(|(slow, _)| self.pool.speeds.is_probed(slow.remote)) {
                        self.probe(slow, remote);
                    }
                    return Some((*place, remote));
                }
                slow = slow.or(Some((*place, remote)));
            }
        }
        slow
    }

    /// Starts a reader of a shard from `row` on; `false` when no place of it is left.
    pub(super) async fn open_feed(&mut self, index: usize, row: u64, resort: Resort) -> bool {
        self.close_feed(index);
        let Some((place, remote)) = self.choose(index, row, resort).await else { return false };
        self.pool.speeds.earn();
        let Some(feed) = self.feed(index, row, place, remote, resort) else { return false };
        self.feeds.insert(index, feed);
        true
    }

    fn feed(&self, index: usize, row: u64, place: Place, remote: SharedRemote, resort: Resort) -> Option<Feed> {
        let (layout, stored) = (self.chunk.layout, self.chunk.stored);
        let rows = |r: &u64| layout.unit_len(stored, index, *r) > 0;
        // A short read takes only the units it needs; parity and long ones run to the end.
        let is_data = index < usize::from(layout.data);
        let whole = !is_data || self.is_long() || self.shards.is_some() || self.roundabout;
        let wanted = |r: &u64| rows(r) && resort != Resort::Damaged && (whole || self.needs(index, *r));
        if !rows(&row) {
            return None;
        }
        let end_row = (row..=self.last_row).take_while(|r| *r == row || wanted(r)).last().unwrap_or(row);
        let unit = u64::from(layout.unit);
        let total = self.bytes(index, row, end_row);
        let range = row * unit..row * unit + total;
        let lengths = unit_checks(&self.chunk, index, row..end_row + 1);
        let name = self.pool.shard_object(self.chunk.chunk, place.index, place.nonce);
        let (sender, units) = mpsc::channel(UNITS_AHEAD);
        self.pool.placement.planned(place.remote, total);
        let pool = self.pool.clone();
        let task = tokio::spawn(async move {
            let speeds = Some((&pool.speeds, place.remote));
            if let Err(error) = read_units(&remote, &name, range, lengths, &sender, speeds).await {
                // A receiver that is gone wants no more units.
                let _ = sender.send(Err(error)).await;
            }
        });
        let _task = AbortOnDropHandle::new(task);
        let (since, patience) = (Instant::now(), Patience::Usual);
        Some(Feed { place, resort, first_row: row, next_row: row, end_row, units, since, patience, _task })
    }

    /// Sees how a remote does that others are asked instead of, beside what is read.
    pub(super) fn probe(&self, place: Place, remote: SharedRemote) {
        let (index, row) = (usize::from(place.index), self.row);
        if self.bytes(index, row, row) == 0 {
            return;
        }
        let start = row * u64::from(self.chunk.layout.unit);
        let range = start..start + self.bytes(index, row, row);
        let lengths = unit_checks(&self.chunk, index, row..row + 1);
        let name = self.pool.shard_object(self.chunk.chunk, place.index, place.nonce);
        let pool = self.pool.clone();
        tokio::spawn(async move {
            let (sender, _units) = mpsc::channel(1);
            let read = read_units(&remote, &name, range, lengths, &sender, Some((&pool.speeds, place.remote))).await;
            if let Err(error) = read {
                tracing::debug!("{error}");
            }
        });
    }
}
