//! A remote whose objects a plugin keeps.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde_json::{Value, json};

use super::{Answer, Plugin};
use crate::error::{Error, ErrorKind, Result};
use crate::local::blocking;
use crate::remote::{Body, ByteStream, ObjectMeta, Remote, Usage, check_dir, check_name, check_stored_name};

/// How much of an object passes at a time.
const PART_BYTES: u64 = 4 << 20;

/// Objects below a root that a plugin keeps.
#[derive(Debug, Clone)]
pub(super) struct PluginRemote {
    label: String,
    root: String,
    plugin: Arc<Plugin>,
}

impl PluginRemote {
    pub fn new(label: &str, root: &str, plugin: Arc<Plugin>) -> Self {
        Self { label: label.into(), root: root.into(), plugin }
    }

    /// Does one call off the async threads.
    async fn call(&self, method: &'static str, mut args: Value, data: Bytes) -> Result<Answer> {
        args["root"] = self.root.clone().into();
        let plugin = self.plugin.clone();
        blocking(move || plugin.call(method, args, &data)).await.map_err(|error| self.on(error))
    }

    /// A plugin that fails is a remote that cannot be reached: nothing is known of its objects.
    fn on(&self, error: Error) -> Error {
        let error = match error.kind() {
            ErrorKind::Io => Error::new(ErrorKind::Unavailable, error.message()),
            _ => error,
        };
        error.on_remote(&self.label)
    }

    fn nonsense(&self, what: &str, value: &Value) -> Error {
        let said: String = value.to_string().chars().take(80).collect();
        self.on(self.plugin.nonsense(format!("{what}: {said}")))
    }

    async fn size(&self, name: &str) -> Result<Option<u64>> {
        match self.call("stat", json!({ "name": name }), Bytes::new()).await {
            Ok(answer) if answer.value.is_null() => Ok(None),
            Ok(answer) => {
                let size = answer.value.as_u64();
                size.map(Some).ok_or_else(|| self.nonsense("a size", &answer.value))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn part(&self, name: &str, at: u64, length: u64) -> Result<Bytes> {
        let args = json!({"name": name, "offset": at, "length": length});
        let data = self.call("get", args, Bytes::new()).await?.data;
        if data.len() as u64 != length {
            let why = format!("the plugin {} gave {} of {length} bytes", self.plugin.id(), data.len());
            return Err(Error::new(ErrorKind::Corrupt, why).on_remote(&self.label).at_path(name));
        }
        Ok(data.into())
    }
}

#[async_trait]
impl Remote for PluginRemote {
    fn label(&self) -> &str {
        &self.label
    }

    async fn put(&self, name: &str, body: &Body) -> Result<()> {
        check_name(name).map_err(|e| e.on_remote(&self.label))?;
        let size = body.size();
        let opened = self.call("put_open", json!({"name": name, "size": size}), Bytes::new()).await?;
        let writer = opened.value;
        let plugin = self.plugin.clone();
        let body = body.clone();
        let done = blocking(move || {
            let mut at = 0;
            let mut part = Vec::new();
            while at < size {
                part.resize(usize::try_from(PART_BYTES.min(size - at)).unwrap_or(0), 0);
                let sent = body
                    .read_at(at, &mut part)
                    .and_then(|()| plugin.call("put_write", json!({ "writer": writer }), &part));
                if let Err(error) = sent {
                    let _ = plugin.call("put_abort", json!({ "writer": writer }), &[]);
                    return Err(error);
                }
                at += part.len() as u64;
            }
            plugin.call("put_close", json!({ "writer": writer }), &[]).map(drop)
        });
        done.await.map_err(|error| self.on(error))
    }

    async fn get(&self, name: &str, range: Option<Range<u64>>) -> Result<ByteStream> {
        check_name(name).map_err(|e| e.on_remote(&self.label))?;
        let absent = || Error::new(ErrorKind::NotFound, "there is no such object").on_remote(&self.label).at_path(name);
        let size = self.size(name).await?.ok_or_else(absent)?;
        let range = range.unwrap_or(0..size);
        if range.end > size {
            let why = format!("the object has {size} bytes, and {}..{} was to be read", range.start, range.end);
            return Err(Error::new(ErrorKind::Corrupt, why).on_remote(&self.label).at_path(name));
        }
        let state = (self.clone(), name.to_owned(), range);
        Ok(stream::try_unfold(state, |(remote, name, range)| async move {
            let length = PART_BYTES.min(range.end.saturating_sub(range.start));
            if length == 0 {
                return Ok(None);
            }
            let part = remote.part(&name, range.start, length).await?;
            Ok(Some((part, (remote, name, range.start + length..range.end))))
        })
        .boxed())
    }

    async fn stat(&self, name: &str) -> Result<Option<u64>> {
        check_name(name).map_err(|e| e.on_remote(&self.label))?;
        self.size(name).await
    }

    async fn delete(&self, name: &str) -> Result<()> {
        check_stored_name(name).map_err(|e| e.on_remote(&self.label))?;
        match self.call("delete", json!({ "name": name }), Bytes::new()).await {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    async fn list(&self, dir: &str) -> Result<BoxStream<'static, Result<ObjectMeta>>> {
        check_dir(dir).map_err(|e| e.on_remote(&self.label))?;
        let listed = match self.call("list", json!({ "directory": dir }), Bytes::new()).await {
            Ok(answer) => answer.value,
            Err(error) if error.kind() == ErrorKind::NotFound => Value::Array(Vec::new()),
            Err(error) => return Err(error),
        };
        let listed: Vec<(String, u64)> =
            serde_json::from_value(listed.clone()).map_err(|_| self.nonsense("a listing", &listed))?;
        let below = |name: &str| dir.is_empty() || name.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        let objects = listed.into_iter().filter(|(name, _)| below(name) && check_stored_name(name).is_ok());
        let objects: Vec<_> = objects.map(|(name, size)| Ok(ObjectMeta { name, size })).collect();
        Ok(stream::iter(objects).boxed())
    }

    async fn usage(&self) -> Result<Usage> {
        let told = self.call("usage", json!({}), Bytes::new()).await?.value;
        let number = |key: &str| told.get(key).and_then(Value::as_u64);
        Ok(Usage { total: number("total"), used: number("used"), free: number("free") })
    }

    fn staging(&self) -> Option<&std::path::Path> {
        None
    }

    async fn open(&self, name: &str, _: Range<u64>) -> Result<Option<File>> {
        check_name(name).map_err(|e| e.on_remote(&self.label))?;
        Ok(None)
    }
}
