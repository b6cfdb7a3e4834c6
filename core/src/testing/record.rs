//! Writing down every call, so that a test can assert what an operation costs.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{BoxStream, StreamExt};

use crate::error::Result;
use crate::remote::wrap::Verb;
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The label of the remote.
    pub remote: String,
    /// What was asked.
    pub verb: Verb,
    /// The object or directory; empty for usage.
    pub name: String,
    /// The range of a get.
    pub range: Option<Range<u64>>,
    /// Bytes offered by a put, or delivered so far by a get.
    pub bytes: u64,
}

/// The calls of any number of [`RecordRemote`]s, in order.
#[derive(Debug, Default)]
pub struct RecordLog(Mutex<Vec<Call>>);

impl RecordLog {
    fn lock(&self) -> MutexGuard<'_, Vec<Call>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().clone()
    }

    /// Forgets them; streams that still run count no more.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// How many calls of `verb` there were.
    pub fn count(&self, verb: Verb) -> usize {
        self.count_if(|call| call.verb == verb)
    }

    /// How many calls there were that `wanted` says yes to.
    pub fn count_if(&self, wanted: impl Fn(&Call) -> bool) -> usize {
        self.lock().iter().filter(|call| wanted(call)).count()
    }

    /// The bytes of all calls of `verb`.
    pub fn bytes(&self, verb: Verb) -> u64 {
        self.lock().iter().filter(|call| call.verb == verb).map(|call| call.bytes).sum()
    }

    /// Panics, with all calls, unless there were `want` calls of `verb`; `why` says what costs them.
    #[track_caller]
    pub fn assert_count(&self, verb: Verb, want: usize, why: &str) {
        let calls = self.calls();
        let seen = calls.iter().filter(|call| call.verb == verb).count();
        assert_eq!(seen, want, "{verb:?} calls ({why}); all calls:\n{}", lines(&calls));
    }
}

fn lines(calls: &[Call]) -> String {
    let line = |call: &Call| {
        let range = call.range.as_ref().map(|range| format!(" {range:?}")).unwrap_or_default();
        format!("  {} {:?} {}{range} {} bytes\n", call.remote, call.verb, call.name, call.bytes)
    };
    calls.iter().map(line).collect()
}

/// Writes every call into a [`RecordLog`] and passes it on.
#[derive(Debug)]
pub struct RecordRemote {
    remote: SharedRemote,
    log: Arc<RecordLog>,
}

impl RecordRemote {
    /// Wraps `remote`.
    pub fn new(remote: SharedRemote, log: Arc<RecordLog>) -> Self {
        Self { remote, log }
    }

    fn record(&self, verb: Verb, name: &str, range: Option<Range<u64>>, bytes: u64) -> usize {
        let mut log = self.log.lock();
        log.push(Call { remote: self.label().to_owned(), verb, name: name.to_owned(), range, bytes });
        log.len() - 1
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for RecordRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.record(Verb::Put, name, None, body.size());
        self.remote.put(name, body).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        let index = self.record(Verb::Get, name, range.clone(), 0);
        let stream = self.remote.get(name, range).await?;
        let (log, name) = (Arc::clone(&self.log), name.to_owned());
        Ok(stream
            .inspect(move |piece| {
                if let (Ok(piece), Some(call)) = (piece, log.lock().get_mut(index).filter(|call| call.name == name)) {
                    call.bytes += piece.len() as u64;
                }
            })
            .boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.record(Verb::Stat, name, None, 0);
        self.remote.stat(name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.record(Verb::Delete, name, None, 0);
        self.remote.delete(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.record(Verb::List, dir, None, 0);
        self.remote.list(dir).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.record(Verb::Usage, "", None, 0);
        self.remote.usage().await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::MemoryRemote;
    use crate::testing::conformance::read;

    #[tokio::test]
    async fn calls_and_bytes_are_counted() {
        let log = Arc::new(RecordLog::default());
        let remotes = ["m1", "m2"].map(|label| RecordRemote::new(Arc::new(MemoryRemote::new(label)), Arc::clone(&log)));
        remotes[0].put("a", &vec![1; 1000].into()).await.unwrap();
        read(&remotes[0], "a", Some(1..11)).await.unwrap();
        assert_eq!(remotes[1].stat("a").await.unwrap(), None);
        assert_eq!((log.count(Verb::Put), log.bytes(Verb::Put), log.bytes(Verb::Get)), (1, 1000, 10));
        assert_eq!(log.count_if(|call| call.remote == "m2"), 1);
        log.assert_count(Verb::List, 0, "nothing lists");
        let wrong = std::panic::catch_unwind(|| log.assert_count(Verb::Stat, 2, "one too many")).unwrap_err();
        let message = wrong.downcast_ref::<String>().unwrap();
        assert!(message.contains("one too many") && message.contains("m1 Get a 1..11 10 bytes"), "{message}");
        log.clear();
        assert_eq!(log.calls(), []);
    }
}
