//! Reading and listing whole.

use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;

use super::{ObjectMeta, Remote};
use crate::error::Result;

/// Reads a whole object that is known to be small.
///
/// # Errors
/// Those of the remote.
pub async fn read_whole(remote: &dyn Remote, name: &str) -> Result<Bytes> {
    let mut stream = remote.get(name, None).await?;
    // A stream that has ended must not be asked again.
    let Some(first) = stream.try_next().await? else { return Ok(Bytes::new()) };
    let Some(second) = stream.try_next().await? else { return Ok(first) };
    let mut whole = BytesMut::from(&first[..]);
    whole.extend_from_slice(&second);
    while let Some(piece) = stream.try_next().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Lists everything below a directory.
///
/// # Errors
/// Those of the remote; an incomplete listing is an error.
pub async fn list_whole(remote: &dyn Remote, dir: &str) -> Result<Vec<ObjectMeta>> {
    remote.list(dir).await?.try_collect().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::remote::MemoryRemote;
    use crate::remote::wrap::{Metrics, MetricsRemote};

    #[tokio::test]
    async fn an_empty_object_is_read_like_any_other() {
        let memory = MemoryRemote::new("m");
        memory.store().insert("empty", Bytes::new());
        memory.store().insert("some", Bytes::from_static(b"some"));
        let remote = MetricsRemote::new(Arc::new(memory), Arc::new(Metrics::default()));
        assert_eq!(read_whole(&remote, "empty").await.unwrap(), Bytes::new());
        assert_eq!(read_whole(&remote, "some").await.unwrap(), Bytes::from_static(b"some"));
    }
}
