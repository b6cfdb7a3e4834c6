//! Small uploads that come at the same time share chunks and commits: remotes allow few requests per second.
//!
//! Who comes while nobody is on the way goes at once. Who comes while others are waits for them, and goes with all
//! that have come by then: so the requests per second stay what they are, however many files come.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::JoinSet;

use super::Pool;
use super::group::Group;
use super::upload::{Data, Order, PACK_BYTES, Prepared, Source, UploadReport};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::record::INLINE_BYTES_MAX;
use crate::local::blocking;
use crate::monitor::{Event, Monitor};
use crate::path::PoolPath;

/// For how long those that come together are waited for.
const WINDOW: Duration = Duration::from_millis(25);
/// After so long those that came meanwhile go, too.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many batches are on the way at most,
const BATCHES: usize = 4;
/// of at most this many files
const BATCH_FILES: usize = 2000;
/// and this many bytes each.
const BATCH_BYTES: u64 = 4 * PACK_BYTES;
/// How much is read of a stream to see whether it is small,
const HEAD_BYTES: u64 = 1 << 20;
/// and how much of all streams may be in memory for it.
const HEADS_BYTES: usize = 16 << 20;

/// Uploads that wait for others.
#[derive(Debug)]
pub(super) struct Together {
    state: Mutex<State>,
    arrived: Notify,
    /// Bytes of streams that were read to see how long these are.
    heads: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Member>,
    /// Whether somebody sees to those who wait.
    is_served: bool,
}

/// One upload.
struct Member {
    order: Order,
    bytes: u64,
    /// Taken by who is first: the commit, or the user who gives up.
    claim: Arc<AtomicBool>,
    tell: oneshot::Sender<Result<UploadReport>>,
    _head: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Member").field(&self.order.path).finish()
    }
}

impl Default for Together {
    fn default() -> Self {
        let heads = Arc::new(Semaphore::new(HEADS_BYTES));
        Self { state: Mutex::default(), arrived: Notify::new(), heads }
    }
}

impl Together {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Who goes next: nobody whose path is in the way of another's.
    fn take(&mut self) -> Vec<Member> {
        let (mut taken, mut above) = (BTreeSet::new(), BTreeSet::new());
        let (mut batch, mut rest, mut bytes) = (Vec::new(), VecDeque::new(), 0);
        for member in self.waiting.drain(..) {
            let path = &member.order.path;
            let full = batch.len() >= BATCH_FILES || bytes + member.bytes > BATCH_BYTES && !batch.is_empty();
            let blocked = taken.contains(path) || above.contains(path) || path.ancestors().any(|a| taken.contains(&a));
            // Who comes to this path later stays behind this one, wherever that goes.
            above.extend(path.ancestors());
            taken.insert(path.clone());
            if full || blocked {
                rest.push_back(member);
            } else {
                bytes += member.bytes;
                batch.push(member);
            }
        }
        self.waiting = rest;
        batch
    }
}

/// A stream whose beginning was read already.
struct Begun {
    head: Bytes,
    /// Let go when the beginning was read again.
    permit: Option<OwnedSemaphorePermit>,
    rest: Box<dyn Read + Send>,
}

impl Read for Begun {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.head.is_empty() {
            (self.head, self.permit) = (Bytes::new(), None);
            return self.rest.read(buffer);
        }
        let some = self.head.split_to(self.head.len().min(buffer.len()));
        buffer[..some.len()].copy_from_slice(&some);
        Ok(some.len())
    }
}

impl Pool {
    /// A source that is small enough to go with others, and what keeps room for it; any other source as it was.
    pub(super) async fn small(
        &self,
        source: Source,
    ) -> Result<std::result::Result<(Data, Option<OwnedSemaphorePermit>), Source>> {
        let most = self.small_bytes().max(INLINE_BYTES_MAX);
        Ok(match source {
            Source::File(file) => {
                let small = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= most);
                if small { Ok((Data::File(file), None)) } else { Err(Source::File(file)) }
            }
            Source::Bytes(bytes) if bytes.len() as u64 <= most => Ok((Data::Bytes(bytes), None)),
            Source::Bytes(bytes) => Err(Source::Bytes(bytes)),
            Source::Stream(mut reader) => {
                let limit = most.min(HEAD_BYTES) + 1;
                let permits = u32::try_from(limit).unwrap_or(u32::MAX);
                let permit = self.together.heads.clone().acquire_many_owned(permits).await;
                let mut permit = permit.map_err(|_| Error::new(ErrorKind::Internal, "the memory budget is closed"))?;
                let (head, rest) = blocking(move || {
                    let mut head = Vec::new();
                    let read = (&mut reader).take(limit).read_to_end(&mut head);
                    read.map_err(|e| Error::io("cannot read the source", e))?;
                    Ok((Bytes::from(head), reader))
                })
                .await?;
                if head.len() as u64 == limit {
                    return Ok(Err(Source::Stream(Box::new(Begun { head, permit: Some(permit), rest }))));
                }
                drop(permit.split(permit.num_permits() - head.len()));
                Ok((Data::Bytes(head), Some(permit)))
            }
        })
    }

    /// Stores a small file, with others that come at the same time.
    pub(super) async fn upload_together(
        self: &Arc<Self>,
        order: Order,
        head: Option<OwnedSemaphorePermit>,
    ) -> Result<UploadReport> {
        let bytes = match &order.data {
            Data::File(file) => {
                let bytes = file.metadata().map_or(0, |metadata| metadata.len());
                order.monitor.event(&Event::Total { bytes, items: 1 });
                bytes
            }
            Data::Bytes(bytes) => bytes.len() as u64,
        };
        let (monitor, claim) = (order.monitor.clone(), Arc::new(AtomicBool::new(false)));
        let (tell, mut told) = oneshot::channel();
        {
            let mut state = self.together.state();
            state.waiting.push_back(Member { order, bytes, claim: claim.clone(), tell, _head: head });
            if !std::mem::replace(&mut state.is_served, true) {
                // Nobody's giving up stops what others wait for.
                tokio::spawn(self.clone().serve_together());
            }
        }
        self.together.arrived.notify_one();
        let ended = match monitor.run(async { Ok((&mut told).await) }).await {
            Err(cancelled) if !claim.swap(true, Ordering::AcqRel) => return Err(cancelled),
            // Too late to be cancelled.
            Err(_) => told.await,
            Ok(ended) => ended,
        };
        ended.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the upload broke off")))
    }

    /// Sees to those who wait until there are none.
    async fn serve_together(self: Arc<Self>) {
        let (mut batches, mut crowded) = (JoinSet::new(), false);
        loop {
            if crowded || self.together.state().waiting.len() > 1 {
                tokio::time::sleep(WINDOW).await;
            }
            let batch = {
                let mut state = self.together.state();
                let batch = state.take();
                if batch.is_empty() && batches.is_empty() {
                    state.is_served = false;
                    return;
                }
                batch
            };
            if batch.is_empty() {
                tokio::select! {
                    _ = batches.join_next() => {}
                    () = self.together.arrived.notified() => {}
                }
                continue;
            }
            crowded = batch.len() > 1;
            batches.spawn(self.clone().upload_batch(batch));
            // A slow remote keeps those behind waiting for a while only.
            while tokio::time::timeout(PATIENCE, batches.join_next()).await.is_err() && batches.len() >= BATCHES {}
        }
    }

    async fn upload_batch(self: Arc<Self>, batch: Vec<Member>) {
        let mut members: BTreeMap<PoolPath, Member> =
            batch.into_iter().map(|member| (member.order.path.clone(), member)).collect();
        let failed = match self.try_batch(&mut members).await {
            Ok(()) => Error::new(ErrorKind::Internal, "the upload came to nothing"),
            Err(error) => error,
        };
        // Nobody listens any more where the user gave up.
        members.into_values().for_each(|member| drop(member.tell.send(Err(failed.repeat()))));
    }

    /// Stores the files of a batch and commits them together; who was told is taken out.
    async fn try_batch(self: &Arc<Self>, members: &mut BTreeMap<PoolPath, Member>) -> Result<()> {
        let _storing = self.lock_storing().await?;
        let view = self.view_for_writing().await?;
        let mut group = Group::new(view.epoch(), self.env.boot_ms());
        let orders = members.values().filter(|member| !member.tell.is_closed()).map(|member| member.order.clone());
        let mut stored = std::pin::pin!(self.prepare_all(orders.collect(), None));
        while let Some(outcomes) = stored.next().await {
            for (path, prepared) in outcomes {
                match prepared {
                    Ok(prepared) => group.prepared.push(prepared),
                    Err(error) => tell(members, &path, Err(error)),
                }
            }
        }
        // Who gave up is left out; who has not can no more.
        let goes_on = |member: &Member| !member.tell.is_closed() && !member.claim.swap(true, Ordering::AcqRel);
        group.prepared.retain(|file| members.get(&file.path).is_some_and(goes_on));
        let mut done = Vec::new();
        let silent = Monitor::default();
        let committed =
            self.commit_group(&mut group, None, &mut |path, result| done.push((path, result)), &silent).await;
        // What failed later does not undo what was committed before.
        let stale = !view.complete || *committed.as_ref().unwrap_or(&true);
        for (path, result) in done {
            tell(members, &path, result.map(|prepared| (prepared, stale)));
        }
        committed.map(drop)
    }
}

fn tell(members: &mut BTreeMap<PoolPath, Member>, path: &PoolPath, result: Result<(Prepared, bool)>) {
    let Some(member) = members.remove(path) else { return };
    let result = result.map(|(prepared, stale)| {
        let mut report = UploadReport { stale, ..UploadReport::default() };
        report.count(&prepared);
        let (path, size, action) = (prepared.path, prepared.size, prepared.action);
        member.order.monitor.event(&Event::File { path, size, action });
        report
    });
    // Nobody listens any more where the user gave up.
    drop(member.tell.send(result));
}
