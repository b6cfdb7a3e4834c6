//! One plugin: started when it is first needed, named in every error, set aside when it keeps breaking.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Answer, Fault, Instance, Loader, Metadata, PluginId};
use crate::error::{Error, ErrorKind, Result};

/// A plugin that failed so often is set aside.
pub const FAILURES_MAX: u32 = 3;

/// A plugin from a file.
#[derive(Debug)]
pub struct Plugin {
    id: PluginId,
    file: PathBuf,
    loader: Arc<dyn Loader>,
    config: Map<String, Value>,
    time: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    running: Option<Box<dyn Instance>>,
    metadata: Option<Arc<Metadata>>,
    /// How often it broke, and why last.
    failures: u32,
    last: String,
}

impl Plugin {
    /// A plugin that is not started yet; `time` is how long a call may take.
    pub fn new(
        id: PluginId,
        file: PathBuf,
        loader: Arc<dyn Loader>,
        config: Map<String, Value>,
        time: Duration,
    ) -> Arc<Self> {
        Arc::new(Self { id, file, loader, config, time, state: Mutex::default() })
    }

    /// Its id.
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// Who it says it is. Starts it.
    ///
    /// # Errors
    /// As [`Plugin::call`].
    pub fn metadata(&self) -> Result<Arc<Metadata>> {
        let mut state = self.lock();
        self.started(&mut state)?;
        state.metadata.clone().ok_or_else(|| self.error("says nothing of itself"))
    }

    /// Does one call; blocks.
    ///
    /// # Errors
    /// `NotFound` where the plugin raises `FileNotFoundError`; else `Io`, with what it raised or how it broke.
    /// Always names the plugin.
    pub fn call(&self, method: &str, args: Value, data: &[u8]) -> Result<Answer> {
        match self.ask(method, args, data) {
            Ok(answer) => Ok(answer),
            Err(Refusal::Raised(kind, message)) => Err(self.raised(&kind, &message)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    /// Does one call of which it is allowed to say no: its words, where it does.
    ///
    /// # Errors
    /// Those of a plugin that is broken.
    pub fn call_that_may_refuse(&self, method: &str, args: Value) -> Result<std::result::Result<Answer, String>> {
        match self.ask(method, args, &[]) {
            Ok(answer) => Ok(Ok(answer)),
            Err(Refusal::Raised(_, message)) => Ok(Err(message)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    /// Counts an answer that makes no sense as a failure, and says so.
    pub fn nonsense(&self, why: impl std::fmt::Display) -> Error {
        let mut state = self.lock();
        state.failures += 1;
        state.last = format!("answered nonsense: {why}");
        self.error(&state.last)
    }

    /// Whether it broke so often that it is asked no more.
    pub fn is_aside(&self) -> bool {
        self.lock().failures >= FAILURES_MAX
    }

    /// Counts something it raised as a failure: of kinds that can be done without.
    pub fn count_failure(&self, error: &Error) {
        let mut state = self.lock();
        state.failures += 1;
        error.message().clone_into(&mut state.last);
    }

    fn ask(&self, method: &str, args: Value, data: &[u8]) -> std::result::Result<Answer, Refusal> {
        let mut state = self.lock();
        let running = self.started(&mut state).map_err(Refusal::Failed)?;
        match running.call(method, args, data, self.time) {
            Ok(answer) => Ok(answer),
            Err(Fault::Raised { kind, message }) => Err(Refusal::Raised(kind, message)),
            Err(Fault::Broken(why)) => Err(Refusal::Failed(self.broke(&mut state, why))),
        }
    }

    fn started<'a>(&self, state: &'a mut State) -> Result<&'a mut Box<dyn Instance>> {
        if state.failures >= FAILURES_MAX {
            let why = format!("was set aside after {} failures; the last: {}", state.failures, state.last);
            return Err(self.error(&why));
        }
        if state.running.is_none() {
            super::check_safe(&self.file)?;
            match self.loader.start(&self.file, &self.id, &self.config, self.time) {
                Ok((running, metadata)) => {
                    if metadata.id()? != self.id {
                        let why = format!("calls itself {}", metadata.id()?);
                        return Err(self.broke(state, why));
                    }
                    state.running = Some(running);
                    state.metadata = Some(Arc::new(metadata));
                }
                Err(Fault::Raised { kind, message }) => {
                    let why = format!("does not start: {kind}: {message}");
                    return Err(self.broke(state, why));
                }
                Err(Fault::Broken(why)) => return Err(self.broke(state, format!("does not start: {why}"))),
            }
        }
        state.running.as_mut().ok_or_else(|| self.error("does not run"))
    }

    fn broke(&self, state: &mut State, why: String) -> Error {
        state.running = None;
        state.failures += 1;
        state.last = why;
        self.error(&state.last)
    }

    fn raised(&self, kind: &str, message: &str) -> Error {
        let kind_of_error = if kind == "FileNotFoundError" { ErrorKind::NotFound } else { ErrorKind::Io };
        Error::new(kind_of_error, format!("the plugin {} failed: {kind}: {message}", self.id))
    }

    fn error(&self, why: &str) -> Error {
        Error::new(ErrorKind::Io, format!("the plugin {} {why}", self.id))
            .hint(format!("`rclonepool plugins info {}` says more of it", self.id))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Refusal {
    Raised(String, String),
    Failed(Error),
}
