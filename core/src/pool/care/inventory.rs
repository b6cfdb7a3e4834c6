//! Which shard objects lie on which remote: one listing per remote, never a request per shard.

use std::collections::BTreeMap;

use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::error::{Error, Result};
use crate::id::{ChunkId, Nonce, RemoteId};
use crate::journal::record::Place;
use crate::pool::Pool;
use crate::remote::{ObjectMeta, SharedRemote, is_unfinished};

/// A shard object in a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShardObject {
    /// Its chunk.
    pub chunk: ChunkId,
    /// The shard's index in it.
    pub index: u8,
    /// Names the put.
    pub nonce: Nonce,
    /// Bytes.
    pub size: u64,
}

impl ShardObject {
    /// The shard that the name of an object below the data prefix says.
    fn parse(name: &str, size: u64) -> Option<Self> {
        let (directory, file) = name.split_once('/')?;
        let mut parts = file.split('.');
        let (chunk, index, nonce) = (parts.next()?.parse::<ChunkId>().ok()?, parts.next()?, parts.next()?);
        let object = Self { chunk, index: index.parse().ok()?, nonce: nonce.parse().ok()?, size };
        // Only the one spelling that names are written in.
        let same = parts.next().is_none() && directory == chunk.directory() && index == object.index.to_string();
        same.then_some(object)
    }
}

/// Whether the name of an object below the data prefix is a shard's.
fn is_shard(name: &str) -> bool {
    ShardObject::parse(name, 0).is_some()
}

/// The shard objects on the online remotes, and who could not be listed.
#[derive(Debug, Default)]
pub struct Inventory {
    listed: BTreeMap<RemoteId, Vec<ShardObject>>,
    /// What puts of shards that broke off left.
    pub(super) unfinished: BTreeMap<RemoteId, Vec<ObjectMeta>>,
    /// Remotes that could not be listed whole: what lies there is UNKNOWN, never missing.
    pub unknown: BTreeMap<RemoteId, Error>,
}

impl Inventory {
    /// Lists the online members, all at once.
    pub(in crate::pool) async fn take(pool: &Pool) -> Self {
        let view = pool.view().await;
        let listings = view.online().into_iter().filter_map(|id| {
            let remote = view.handle(id, pool.journal.remotes())?;
            Some(async move { (id, list(remote, &pool.settings.data_prefix).await) })
        });
        let mut inventory = Self::default();
        for (id, listing) in join_all(listings).await {
            match listing {
                Ok((objects, unfinished)) => {
                    inventory.listed.insert(id, objects);
                    inventory.unfinished.insert(id, unfinished);
                }
                Err(error) => drop(inventory.unknown.insert(id, error)),
            }
        }
        inventory
    }

    /// The size of the object at a place; `Ok(None)` when it is not there.
    ///
    /// # Errors
    /// The remote that was not listed: nothing is known of the object.
    pub fn size(&self, chunk: ChunkId, place: &Place) -> std::result::Result<Option<u64>, RemoteId> {
        let objects = self.listed.get(&place.remote).ok_or(place.remote)?;
        let wanted = (chunk, place.index, place.nonce);
        let found = objects.binary_search_by_key(&wanted, |o| (o.chunk, o.index, o.nonce));
        Ok(found.ok().and_then(|at| objects.get(at)).map(|o| o.size))
    }

    /// What lies on each remote that was listed, sorted.
    pub fn objects(&self) -> impl Iterator<Item = (RemoteId, &[ShardObject])> {
        self.listed.iter().map(|(id, objects)| (*id, objects.as_slice()))
    }
}

async fn list(remote: SharedRemote, data_prefix: &str) -> Result<(Vec<ShardObject>, Vec<ObjectMeta>)> {
    let mut listing = remote.list(data_prefix).await?;
    let (mut objects, mut unfinished) = (Vec::new(), Vec::new());
    while let Some(object) = listing.next().await {
        let object = object?;
        let Some(name) = object.name.strip_prefix(data_prefix).and_then(|name| name.strip_prefix('/')) else {
            continue;
        };
        if is_unfinished(name, is_shard) {
            unfinished.push(object);
        } else {
            objects.extend(ShardObject::parse(name, object.size));
        }
    }
    objects.sort_unstable();
    Ok((objects, unfinished))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_as_they_are_written_are_shards() {
        let chunk = "0123456789abcdef0123456789abcdef";
        let good = format!("0/{chunk}.12.00000000000000ff");
        let object = ShardObject::parse(&good, 5).unwrap();
        assert_eq!((object.index, object.nonce, object.size), (12, Nonce(255), 5));
        assert_eq!(object.chunk.to_string(), chunk);
        for bad in [
            format!("1/{chunk}.12.00000000000000ff"),
            format!("0/{chunk}.012.00000000000000ff"),
            format!("0/{chunk}.+2.00000000000000ff"),
            format!("0/{chunk}.256.00000000000000ff"),
            format!("0/{chunk}.12.00000000000000ff.partial"),
            format!("0/{chunk}.12.00000000000000FF"),
            format!("0/{chunk}.12.ff"),
            format!("{chunk}.12.00000000000000ff"),
        ] {
            assert_eq!(ShardObject::parse(&bad, 5), None, "{bad}");
        }
    }
}
