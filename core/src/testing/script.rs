//! Interleavings by hand: at a given call of one machine, something else happens first.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;

use crate::error::Result;
use crate::remote::wrap::Verb;
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, SharedRemote, Usage};

type When = Box<dyn Fn(&str, Verb, &str) -> bool + Send>;

/// What is to happen before which calls; shared by the remotes of one machine.
#[derive(Default)]
pub struct Script(Mutex<Vec<(When, BoxFuture<'static, ()>)>>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Script of {} scenes", self.lock().len())
    }
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, Vec<(When, BoxFuture<'static, ()>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the first call (remote's label, verb, name) that `when` says yes to, `scene` happens, once.
    pub fn before(
        &self,
        when: impl Fn(&str, Verb, &str) -> bool + Send + 'static,
        scene: impl Future<Output = ()> + Send + 'static,
    ) {
        self.lock().push((Box::new(when), Box::pin(scene)));
    }

    /// How many scenes have not happened.
    pub fn left(&self) -> usize {
        self.lock().len()
    }

    async fn cue(&self, label: &str, verb: Verb, name: &str) {
        let due = {
            let mut scenes = self.lock();
            let at = scenes.iter().position(|(when, _)| when(label, verb, name));
            at.map(|at| scenes.remove(at).1)
        };
        if let Some(scene) = due {
            scene.await;
        }
    }
}

/// A remote of a machine that a script is written for.
#[derive(Debug)]
pub struct ScriptRemote {
    remote: SharedRemote,
    script: Arc<Script>,
}

impl ScriptRemote {
    /// Wraps all remotes of a machine.
    pub fn wrap(remotes: Vec<SharedRemote>, script: &Arc<Script>) -> Vec<SharedRemote> {
        let wrap = |remote| Arc::new(Self { remote, script: script.clone() }) as SharedRemote;
        remotes.into_iter().map(wrap).collect()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Remote for ScriptRemote {
    fn label(&self) -> &str {
        self.remote.label()
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        self.script.cue(self.label(), Verb::Put, name).await;
        self.remote.put(name, body).await
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        self.script.cue(self.label(), Verb::Get, name).await;
        self.remote.get(name, range).await
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        self.script.cue(self.label(), Verb::Stat, name).await;
        self.remote.stat(name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        self.script.cue(self.label(), Verb::Delete, name).await;
        self.remote.delete(name).await
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        self.script.cue(self.label(), Verb::List, dir).await;
        self.remote.list(dir).await
    }

    async fn usage(&self) -> Result<Usage> {
        self.script.cue(self.label(), Verb::Usage, "").await;
        self.remote.usage().await
    }

    fn staging(&self) -> Option<&std::path::Path> {
        self.remote.staging()
    }

    async fn open(&self, _: &str, _: Range<u64>) -> Result<Option<std::fs::File>> {
        Ok(None)
    }
}
