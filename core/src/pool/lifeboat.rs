//! The lifeboat: what restores a pool without this program, on every remote beside the journal.

use futures_util::TryStreamExt;
use futures_util::future::{join_all, try_join_all};
use serde::Serialize;

use super::Pool;
use crate::error::Result;
use crate::remote::{Body, Remote, SharedRemote, read_whole};

/// The directory below the manifest prefix.
const DIRECTORY: &str = "lifeboat";

/// Names and texts: what to do, the format, and the independent reader, which needs Python alone.
pub const LIFEBOAT: [(&str, &str); 8] = [
    ("README.md", include_str!("../../../tests/reader/README.md")),
    ("FORMAT.md", include_str!("../../../FORMAT.md")),
    ("read_pool.py", include_str!("../../../tests/reader/read_pool.py")),
    ("pool_chunks.py", include_str!("../../../tests/reader/pool_chunks.py")),
    ("pool_coding.py", include_str!("../../../tests/reader/pool_coding.py")),
    ("pool_journal.py", include_str!("../../../tests/reader/pool_journal.py")),
    ("pool_records.py", include_str!("../../../tests/reader/pool_records.py")),
    ("zstd_decode.py", include_str!("../../../tests/reader/zstd_decode.py")),
];

/// How a remote's lifeboat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LifeboatState {
    /// Whole, and of this version.
    Whole,
    /// Parts of it are missing or damaged, or another version wrote it.
    Differs,
    /// There is none.
    Missing,
    /// It was written now.
    Stored,
    /// The remote cannot be asked.
    Unknown,
}

/// One remote's lifeboat.
#[derive(Debug, Serialize)]
pub struct LifeboatReport {
    /// The remote's name in the configuration.
    pub name: String,
    /// How its lifeboat is.
    pub state: LifeboatState,
    /// Why it could not be looked at or written.
    pub error: Option<String>,
}

impl Pool {
    /// Looks at the lifeboat of each online remote, every byte of it; with `store` it is written where it is not
    /// whole. A remote that fails is told in its report.
    pub async fn lifeboat(&self, store: bool) -> Vec<LifeboatReport> {
        let view = self.view().await;
        let pairs = self.journal().remotes().iter().zip(&view.remotes);
        join_all(pairs.map(|(remote, status)| async move {
            let name = remote.label().to_owned();
            if status.id().is_none() {
                return LifeboatReport { name, state: LifeboatState::Unknown, error: Some("offline".into()) };
            }
            let prefix = &self.settings.manifest_prefix;
            let done = async {
                match look(remote.as_ref(), prefix).await? {
                    LifeboatState::Whole => Ok(LifeboatState::Whole),
                    state if !store => Ok(state),
                    _ => write(remote.as_ref(), prefix).await.map(|()| LifeboatState::Stored),
                }
            };
            match done.await {
                Ok(state) => LifeboatReport { name, state, error: None },
                Err(error) => LifeboatReport { name, state: LifeboatState::Unknown, error: Some(error.to_string()) },
            }
        }))
        .await
    }
}

/// Writes the lifeboat to remotes that have just joined. It is no condition of anything: what fails is logged, and
/// [`Pool::lifeboat`] makes up for it.
pub(super) async fn launch(remotes: &[SharedRemote], manifest_prefix: &str) {
    join_all(remotes.iter().map(|remote| async move {
        if let Err(error) = write(remote.as_ref(), manifest_prefix).await {
            tracing::warn!("remote {}: the lifeboat was not written: {error}", remote.label());
        }
    }))
    .await;
}

async fn look(remote: &dyn Remote, prefix: &str) -> Result<LifeboatState> {
    let there = sizes(remote, prefix).await?;
    if there.is_empty() {
        return Ok(LifeboatState::Missing);
    }
    for (name, text) in LIFEBOAT {
        let object = format!("{prefix}/{DIRECTORY}/{name}");
        let is_there = there.iter().any(|(known, size)| *known == object && *size == text.len() as u64);
        if !is_there || read_whole(remote, &object).await? != text.as_bytes() {
            return Ok(LifeboatState::Differs);
        }
    }
    Ok(LifeboatState::Whole)
}

/// Objects are never overwritten, so what differs is deleted first.
async fn write(remote: &dyn Remote, prefix: &str) -> Result<()> {
    let there = sizes(remote, prefix).await?;
    let there = &there;
    let parts = LIFEBOAT.map(|(name, text)| async move {
        let object = format!("{prefix}/{DIRECTORY}/{name}");
        if there.iter().any(|(known, _)| *known == object) {
            if read_whole(remote, &object).await.is_ok_and(|bytes| bytes == text.as_bytes()) {
                return Ok(());
            }
            remote.delete(&object).await?;
        }
        remote.put(&object, &Body::from(text.as_bytes().to_vec())).await
    });
    try_join_all(parts).await.map(drop)
}

async fn sizes(remote: &dyn Remote, prefix: &str) -> Result<Vec<(String, u64)>> {
    let listing = remote.list(&format!("{prefix}/{DIRECTORY}")).await?;
    listing.map_ok(|object| (object.name, object.size)).try_collect().await
}
