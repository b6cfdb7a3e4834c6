//! The wrapper that makes the faults happen.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::{Crash, Fate, FaultPlan, Faults, State};
use crate::error::{Error, ErrorKind, Result};
use crate::remote::wrap::Verb;
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// A machine's view of a misbehaving remote.
#[derive(Debug)]
pub struct FaultRemote {
    remote: SharedRemote,
    faults: Arc<Faults>,
    crash: Arc<Crash>,
}

impl FaultRemote {
    /// Wraps `remote`: `faults` belong to the remote, `crash` to the machine.
    pub fn new(remote: SharedRemote, faults: Arc<Faults>, crash: Arc<Crash>) -> Self {
        Self { remote, faults, crash }
    }

    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, message).on_remote(self.label())
    }

    fn dead(&self) -> Error {
        Crash::error().on_remote(self.label())
    }

    /// What happens to every call. `Ok(true)`: the machine dies in this one.
    async fn begin(&self, verb: Verb) -> Result<bool> {
        use std::sync::atomic::Ordering::SeqCst;
        let call = self.crash.calls.fetch_add(1, SeqCst) + 1;
        let at = self.crash.at.load(SeqCst);
        if call >= at {
            return if call == at { Ok(true) } else { Err(self.dead()) };
        }
        let (wait, outcome) = self.faults.lock().draw(verb);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        // It died while this call was on its way.
        if self.crash.happened() {
            return Err(self.dead());
        }
        outcome.map(|()| false).map_err(|(kind, message)| self.error(kind, message))
    }

    /// As [`FaultRemote::begin`], for calls that change nothing: a dying machine hears no answer.
    async fn ask(&self, verb: Verb) -> Result<()> {
        if self.begin(verb).await? { Err(self.dead()) } else { Ok(()) }
    }

    async fn put_as(&self, fate: Fate, name: &str, body: &Body) -> Result<()> {
        match fate {
            Fate::Nothing => return Ok(()),
            Fate::Whole => self.remote.put(name, body).await?,
            Fate::Partial => {
                let mut bytes = body.to_bytes()?;
                let length = self.faults.lock().random.below(bytes.len() as u64);
                bytes.truncate(usize::try_from(length).unwrap_or_default());
                self.remote.put(name, &bytes.into()).await?;
            }
        }
        self.faults.lock().stored(name);
        Ok(())
    }
}

impl State {
    fn draw(&mut self, verb: Verb) -> (Duration, Result<(), (ErrorKind, &'static str)>) {
        let span = self.plan.latency.end.saturating_sub(self.plan.latency.start);
        let extra = Duration::from_nanos(self.random.below(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)));
        let mut wait = self.plan.latency.start + extra;
        let FaultPlan { unavailable, rate_limited, timeout, hang, .. } = self.plan;
        if self.random.chance(hang) {
            wait = Duration::from_secs(365 * 86_400);
        }
        let changes = matches!(verb, Verb::Put | Verb::Delete);
        let outcome = if self.offline {
            Err((ErrorKind::Unavailable, "injected: offline"))
        } else if self.lost {
            Err((ErrorKind::Auth, "injected: the account is gone"))
        } else if self.random.chance(unavailable) {
            Err((ErrorKind::Unavailable, "injected: unavailable"))
        } else if self.random.chance(rate_limited) {
            Err((ErrorKind::RateLimited, "injected: too many requests"))
        } else if self.random.chance(timeout) {
            Err((ErrorKind::Timeout, "injected: timed out"))
        } else if self.read_only && changes {
            Err((ErrorKind::Auth, "injected: read-only"))
        } else if self.full && verb == Verb::Put {
            Err((ErrorKind::Full, "injected: full"))
        } else {
            Ok(())
        };
        (wait, outcome)
    }

    fn stored(&mut self, name: &str) {
        if let Some(visible) = &mut self.emptied {
            visible.insert(name.to_owned());
        }
        self.recent.push_back(name.to_owned());
        if self.recent.len() > FaultPlan::STALE_PUTS {
            self.recent.pop_front();
        }
    }

    fn hides(&self, name: &str) -> bool {
        self.emptied.as_ref().is_some_and(|visible| !visible.contains(name))
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for FaultRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        crate::remote::check_name(name).map_err(|e| e.on_remote(self.label()))?;
        if self.begin(Verb::Put).await? {
            let fate = self.crash.fate().unwrap_or_else(|| match self.faults.lock().random.below(3) {
                0 => Fate::Nothing,
                1 => Fate::Partial,
                _ => Fate::Whole,
            });
            let _ = self.put_as(fate, name, body).await;
            return Err(self.dead());
        }
        let (partial, unanswered) = {
            let mut state = self.faults.lock();
            let FaultPlan { put_partial, put_unanswered, .. } = state.plan;
            (state.random.chance(put_partial), state.random.chance(put_unanswered))
        };
        if partial {
            self.put_as(Fate::Partial, name, body).await?;
            return Err(self.error(ErrorKind::Unavailable, "injected: the connection broke in mid-put"));
        }
        self.put_as(Fate::Whole, name, body).await?;
        if unanswered {
            return Err(self.error(ErrorKind::Timeout, "injected: the answer to a put was lost"));
        }
        Ok(())
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        crate::remote::check_name(name).map_err(|e| e.on_remote(self.label()))?;
        self.ask(Verb::Get).await?;
        if self.faults.lock().hides(name) {
            return Err(self.error(ErrorKind::NotFound, "injected: emptied").at_path(name));
        }
        let whole = self.remote.get(name, range).await?.try_collect::<BytesMut>().await?;
        let mut pieces: Vec<Result<Bytes>> = vec![];
        {
            let mut state = self.faults.lock();
            let FaultPlan { get_flip, get_cut, get_short, .. } = state.plan;
            let mut bytes = whole;
            let size = bytes.len() as u64;
            if size > 0 && state.random.chance(get_flip) {
                let at = state.random.below(size * 8);
                bytes[usize::try_from(at / 8).unwrap_or_default()] ^= 1 << (at % 8);
            }
            let cut = state.random.chance(get_cut);
            if cut || (size > 0 && state.random.chance(get_short)) {
                let keep = state.random.below(size);
                bytes.truncate(usize::try_from(keep).unwrap_or_default());
            }
            let mut bytes = bytes.freeze();
            // In pieces of odd sizes, halving: readers shall not rely on where pieces end.
            while !bytes.is_empty() {
                let piece = bytes.len().div_ceil(2).max(64).min(bytes.len());
                pieces.push(Ok(bytes.split_to(piece)));
            }
            if cut {
                pieces.push(Err(self.error(ErrorKind::Unavailable, "injected: the connection broke in mid-get")));
            }
        }
        let (crash, label) = (Arc::clone(&self.crash), self.label().to_owned());
        let pieces = stream::iter(pieces);
        Ok(pieces.map(move |p| if crash.happened() { Err(Crash::error().on_remote(&label)) } else { p }).boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.ask(Verb::Stat).await?;
        let size = self.remote.stat(name).await?;
        Ok(size.filter(|_| !self.faults.lock().hides(name)))
    }

    async fn delete(&self, name: &str) -> Result<()> {
        if self.begin(Verb::Delete).await? {
            let happens = match self.crash.fate() {
                Some(fate) => fate == Fate::Whole,
                None => self.faults.lock().random.chance(0.5),
            };
            if happens {
                let _ = self.remote.delete(name).await;
            }
            return Err(self.dead());
        }
        if self.faults.lock().hides(name) {
            return Ok(());
        }
        self.remote.delete(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.ask(Verb::List).await?;
        let mut found: Vec<ObjectMeta> = self.remote.list(dir).await?.try_collect().await?;
        let mut state = self.faults.lock();
        found.retain(|object| !state.hides(&object.name));
        let stale = state.plan.list_stale;
        if state.random.chance(stale) {
            let recent = state.recent.clone();
            found.retain(|object| !recent.contains(&object.name) || state.random.chance(0.5));
        }
        drop(state);
        Ok(stream::iter(found.into_iter().map(Ok)).boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        self.ask(Verb::Usage).await?;
        self.remote.usage().await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}
