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
    let first = stream.try_next().await?.unwrap_or_default();
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
