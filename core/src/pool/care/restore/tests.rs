use super::*;
use crate::error::Error;
use crate::path::PoolPath;
use crate::pool::{Source, UploadOptions};
use crate::testing::world::World;

const MIB: usize = 1 << 20;

fn content(seed: u64, len: usize) -> Vec<u8> {
    let mut random = crate::testing::fault::SplitMix(seed);
    (0..len.div_ceil(8)).flat_map(|_| random.bits().to_le_bytes()).take(len).collect()
}

/// A world with one file `/f` of one chunk, a pool over it, and the chunk.
async fn one_chunk(n: usize, redundancy: &str, len: usize) -> (World, Arc<Pool>, ChunkRecord, Vec<u8>) {
    let world = World::new(n, redundancy.parse().unwrap(), 16 << 20, 7);
    let id = world.init().await.unwrap();
    let pool = world.open(id).await.unwrap();
    let (path, bytes) = (PoolPath::new("/f").unwrap(), content(3, len));
    let source = Source::Bytes(bytes.clone().into());
    pool.upload(source, &path, &UploadOptions::default(), &Monitor::default()).await.unwrap();
    let chunk = pool.stat(&path).await.unwrap().chunks[0].chunk;
    let record = pool.chunk(chunk).unwrap().record;
    (world, pool, record, bytes)
}

async fn read(pool: &Arc<Pool>) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    pool.read_to(&PoolPath::new("/f").unwrap(), None, &mut out, &Monitor::default()).await.map(|_| out)
}

/// Where a place's object is: the store's number and the name.
fn object(pool: &Pool, world: &World, chunk: ChunkId, place: &Place) -> (usize, String) {
    let name = pool.shard_object(chunk, place.index, place.nonce);
    let at = world.stores.iter().position(|store| store.object(&name).is_some());
    (at.expect("the object is on some store"), name)
}

/// Turns a bit of one unit over.
fn rot(pool: &Pool, world: &World, record: &ChunkRecord, index: u8, row: u64) -> (usize, String, bytes::Bytes) {
    let place = record.shards.iter().find(|p| p.index == index).unwrap();
    let (store, name) = object(pool, world, record.chunk, place);
    let good = world.stores[store].object(&name).unwrap();
    let mut bytes = good.to_vec();
    bytes[usize::try_from(row * u64::from(record.layout.unit)).unwrap()] ^= 0x10;
    world.stores[store].insert(&name, bytes);
    (store, name, good)
}

#[tokio::test]
async fn every_combination_of_rotten_units_that_parity_covers_is_restored_and_never_wrong() {
    let (world, pool, record, bytes) = one_chunk(4, "parity:2+2", 2 * MIB + 70_001).await;
    assert_eq!(record.layout.rows(record.stored), 2);
    let subsets = |most: u32| (0u8..16).filter(move |set: &u8| set.count_ones() <= most);
    for first in subsets(3) {
        for second in subsets(3) {
            let mut originals = Vec::new();
            for index in 0..4u8 {
                for (row, set) in [(0, first), (1, second)] {
                    let there = record.layout.unit_len(record.stored, usize::from(index), row) > 0;
                    if set & 1 << index != 0 && there {
                        originals.push(rot(&pool, &world, &record, index, row));
                    }
                }
            }
            let rotten = first | second & 0b1101;
            let order = Order::new(record.chunk, (0..4).filter(|i| rotten & 1 << i != 0).map(|i| (i, 0)));
            let restored = pool.restore_shards(&order, &Monitor::default()).await;
            // The second row ends in its first unit; the second shard has none there.
            let most = first.count_ones().max((second & 0b1101).count_ones());
            if most <= 2 {
                for place in restored.unwrap().places {
                    let (store, name) = object(&pool, &world, record.chunk, &place);
                    let made = world.stores[store].object(&name).unwrap();
                    let old = record.shards.iter().find(|p| p.index == place.index).unwrap();
                    let (at, name) = object(&pool, &world, record.chunk, old);
                    let good = originals.iter().find(|(s, n, _)| (*s, n) == (at, &name)).unwrap();
                    assert_eq!(made, good.2, "shard {} with {first:04b} {second:04b} rotten", place.index);
                    world.stores[store].remove(&object(&pool, &world, record.chunk, &place).1);
                }
                assert_eq!(read(&pool).await.unwrap(), bytes);
            } else if let Err(error) = restored {
                assert_eq!(error.kind(), ErrorKind::Unrecoverable, "{error}");
            }
            // The first copy kept of an object is the good one.
            for (store, name, good) in originals.into_iter().rev() {
                world.stores[store].insert(&name, good);
            }
        }
    }
}

#[tokio::test]
async fn units_whose_recorded_checksum_is_wrong_are_never_written() {
    let (_world, pool, mut record, _) = one_chunk(4, "parity:2+1", MIB).await;
    record.units[1].0[0] ^= 1;
    let read = pool.read_shards(&record, &BTreeSet::from([1]), &[], &pool.scratch).await.unwrap_err();
    assert_eq!(read.kind(), ErrorKind::Corrupt);
    assert!(read.message().contains("was rebuilt and does not match"), "{read}");
}

#[tokio::test]
async fn a_restored_shard_goes_where_placement_says_and_its_old_object_goes_after_the_drop() {
    let (world, pool, record, bytes) = one_chunk(5, "parity:2+1", 4 * MIB).await;
    let old = record.shards[0];
    let (store, name) = object(&pool, &world, record.chunk, &old);
    world.stores[store].insert(&name, b"short".to_vec());
    let order = Order { damaged: vec![old], ..Order::new(record.chunk, [(0, 0)]) };
    let restored = pool.restore_shards(&order, &Monitor::default()).await.unwrap();
    assert_eq!(restored.replaced, [old]);
    let others: Vec<RemoteId> = record.shards[1..].iter().map(|p| p.remote).collect();
    assert!(!others.contains(&restored.places[0].remote), "distinct remotes");
    // What still counts is never freed.
    assert_eq!(pool.free_objects(&[(record.chunk, old)]).await.unwrap(), 0);
    let committed = pool.commit_restored(std::slice::from_ref(&restored)).await.unwrap();
    assert!(!committed.stale && committed.chunks.contains(&record.chunk));
    assert_eq!(pool.free_objects(&[(record.chunk, old), (record.chunk, restored.places[0])]).await.unwrap(), 1);
    assert!(world.stores[store].object(&name).is_none(), "freed");
    for at in others.iter().map(|id| pool.view_position(*id)).take(1) {
        world.faults[at].set_lost(true);
    }
    let fresh = world.open(pool.id()).await.unwrap();
    assert_eq!(read(&fresh).await.unwrap(), bytes);
    assert!(fresh.chunk(record.chunk).unwrap().record.shards.contains(&restored.places[0]));
}

#[tokio::test]
async fn a_shard_is_moved_onto_the_remote_that_is_named_by_reading_it_alone() {
    let (world, pool, record, _) = one_chunk(5, "parity:3+1", 4 * MIB).await;
    let held: BTreeSet<RemoteId> = record.shards.iter().map(|p| p.remote).collect();
    let free = pool.view().await.online().into_iter().find(|id| !held.contains(id)).unwrap();
    let moved = record.shards[3];
    for place in &record.shards[..3] {
        let at = pool.view_position(place.remote);
        world.faults[at].set_offline(true);
    }
    let order = Order { onto: Some(free), ..Order::new(record.chunk, [(3, 0)]) };
    let restored = pool.restore_shards(&order, &Monitor::default()).await.unwrap();
    assert_eq!((restored.places[0].remote, restored.replaced.as_slice()), (free, &[moved][..]));
    let order = Order { onto: Some(record.shards[0].remote), ..order };
    let error = pool.restore_shards(&order, &Monitor::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn remotes_that_are_full_read_only_or_forget_are_passed_over() {
    let (world, pool, record, _) = one_chunk(6, "parity:2+1", MIB).await;
    let held: BTreeSet<RemoteId> = record.shards.iter().map(|p| p.remote).collect();
    let free: Vec<RemoteId> = pool.view().await.online().into_iter().filter(|id| !held.contains(id)).collect();
    world.faults[pool.view_position(free[0])].set_full(true);
    world.faults[pool.view_position(free[1])].set_read_only(true);
    let avoid = BTreeSet::from([record.shards[0].remote]);
    let order = Order { avoid, ..Order::new(record.chunk, [(0, 0)]) };
    let restored = pool.restore_shards(&order, &Monitor::default()).await.unwrap();
    assert_eq!(restored.places[0].remote, free[2]);
    world.faults[pool.view_position(free[2])].set_full(true);
    let error: Error = pool
        .restore_shards(&Order { avoid: held, ..Order::new(record.chunk, [(0, 0)]) }, &Monitor::default())
        .await
        .unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Full | ErrorKind::Unavailable), "{error}");
}

impl Pool {
    /// A remote's position among the configured ones.
    fn view_position(&self, id: RemoteId) -> usize {
        let view = self.view.try_read().unwrap().clone();
        view.remotes.iter().position(|status| status.id() == Some(id)).unwrap()
    }
}
