//! Markers: which remote of which pool a place is.

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, Result};
use crate::id::{PoolId, RemoteId};
use crate::journal::commit::FORMAT;
use crate::remote::{Body, Remote, read_whole};

/// The marker of a remote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The highest format version in use.
    pub format: u32,
    /// The pool.
    pub pool: PoolId,
    /// The remote.
    pub remote: RemoteId,
    /// What its configuration called it.
    pub label: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: u64,
}

/// A marker's identity, which its name carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkerName {
    /// The pool.
    pub pool: PoolId,
    /// The remote.
    pub remote: RemoteId,
}

impl MarkerName {
    /// The object's name below the manifest prefix.
    pub fn object(self) -> String {
        format!("remote-{}-{}.json", self.pool, self.remote)
    }

    /// Reads a name below the manifest prefix; `None` for other objects.
    pub fn parse(name: &str) -> Option<Self> {
        let (pool, remote) = name.strip_prefix("remote-")?.strip_suffix(".json")?.split_once('-')?;
        Some(Self { pool: pool.parse().ok()?, remote: remote.parse().ok()? })
    }
}

impl Marker {
    /// What its name says.
    pub fn name(&self) -> MarkerName {
        MarkerName { pool: self.pool, remote: self.remote }
    }

    /// Writes the marker and reads it back.
    ///
    /// # Errors
    /// Those of the remote; `Corrupt` when another marker comes back.
    pub async fn write(&self, remote: &dyn Remote, manifest_prefix: &str) -> Result<()> {
        let name = format!("{manifest_prefix}/{}", self.name().object());
        let body = serde_json::to_vec(self).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
        remote.put(&name, &Body::from(body)).await?;
        let back = Self::read(remote, manifest_prefix, self.name()).await?;
        if back != *self {
            return Err(Error::new(ErrorKind::Corrupt, "the marker just written reads back differently")
                .on_remote(remote.label()));
        }
        Ok(())
    }

    /// Writes the marker, unless one of its name is `there` and whole: a machine that dies while it writes one
    /// may leave its beginning.
    ///
    /// # Errors
    /// Those of [`Marker::read`] and [`Marker::write`].
    pub async fn ensure(&self, remote: &dyn Remote, manifest_prefix: &str, there: bool) -> Result<()> {
        if there {
            match Self::read(remote, manifest_prefix, self.name()).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => {}
                read => return read.map(drop),
            }
        }
        self.write(remote, manifest_prefix).await
    }

    /// Reads a marker and holds it against its name.
    ///
    /// # Errors
    /// Those of the remote; `Corrupt` when the marker is not what its name says; `FormatVersion`
    /// when a later version wrote it.
    pub async fn read(remote: &dyn Remote, manifest_prefix: &str, name: MarkerName) -> Result<Self> {
        let bytes = read_whole(remote, &format!("{manifest_prefix}/{}", name.object())).await?;
        let corrupt = |why: String| {
            let MarkerName { pool, remote: id } = name;
            Error::new(ErrorKind::Corrupt, format!("offline: its marker is damaged: {why}"))
                .on_remote(remote.label())
                .hint(format!(
                    "nothing else is lost with it; put {{\"format\":{FORMAT},\"pool\":\"{pool}\",\"remote\":\"{id}\",\
                     \"label\":\"\",\"created_ms\":0}} into {manifest_prefix}/{}",
                    name.object()
                ))
        };
        let marker: Self = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
        if (marker.pool, marker.remote) != (name.pool, name.remote) {
            return Err(corrupt("it speaks of another remote than its name".into()));
        }
        if marker.format > FORMAT {
            return Err(Error::new(ErrorKind::FormatVersion, format!("it needs format {}", marker.format))
                .on_remote(remote.label())
                .hint(format!("this rclonepool knows format {FORMAT}; install a later version")));
        }
        Ok(marker)
    }
}
