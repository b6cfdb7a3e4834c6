//! Rules of freeing and of compaction.

use std::sync::Arc;

use rclonepool_core::Pool;
use rclonepool_core::id::{ChunkId, Nonce, PoolId, Stamp};
use rclonepool_core::journal::record::{Condemned, Dropped, Place, Record, ShardRecord};
use rclonepool_core::journal::{Limits, Rules};
use rclonepool_core::testing::world::World;
use tokio::sync::Notify;

use super::{at_commit, collect, collect_as, hold, make, only_with, reads};
use crate::{content, get, half_done, path, put, scripted};

/// An overwrite that one remote knows, which then goes for ever: the version before it must not be collected.
#[tokio::test]
async fn nothing_is_freed_on_the_word_of_one_remote() {
    only_with(
        |rules| rules.complete_before_consume = false,
        async |rules| {
            let (mut world, id) = make(4, "parity:2+1", 1, rules).await;
            put(&world.open(id).await.unwrap(), "/f", &content(1, 90_000)).await.unwrap();
            let new = content(2, 90_000);
            half_done(&world, id, async |pool| drop(put(pool, "/f", &new).await.unwrap_err())).await;
            world.rules.anti_entropy = false;
            collect(&world, id).await;
            world.faults[0].set_lost(true);
            // Either version will do.
            let read = reads(&world, id, "/f", &content(1, 90_000)).await;
            if read.is_err() { reads(&world, id, "/f", &new).await } else { read }
        },
    )
    .await;
}

/// Data that is stored when the collector looks first, and committed before its marks are there.
#[tokio::test]
async fn a_collector_looks_before_it_drops() {
    only_with(
        |rules| rules.look_before_drop = false,
        async |rules| {
            let (world, id) = make(3, "none", 2, rules).await;
            let (collector, collecting) = scripted(&world, id).await;
            let (writer, writing) = scripted(&world, id).await;
            let (stored, looked, written) = (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (s, l, w) = (stored.clone(), looked.clone(), written.clone());
            at_commit(&writing, 1, &world, async move {
                s.notify_one();
                l.notified().await;
            });
            at_commit(&collecting, 1, &world, async move {
                looked.notify_one();
                w.notified().await;
            });
            let bytes = content(1, 50_000);
            let put = tokio::spawn({
                let bytes = bytes.clone();
                async move {
                    assert!(!put(&writer, "/f", &bytes).await.unwrap().stale);
                    written.notify_one();
                }
            });
            stored.notified().await;
            collect_as(&collector).await;
            put.await.unwrap();
            assert_eq!((collecting.left(), writing.left()), (0, 0));
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

/// An overwrite that never was acknowledged comes back with a remote after its data was collected.
#[tokio::test]
async fn what_refers_to_dropped_data_is_void() {
    only_with(
        |rules| rules.void = false,
        async |rules| {
            let (world, id) = make(4, "parity:2+1", 3, rules).await;
            let bytes = content(1, 90_000);
            put(&world.open(id).await.unwrap(), "/f", &bytes).await.unwrap();
            half_done(&world, id, async |pool| drop(put(pool, "/f", &content(2, 90_000)).await.unwrap_err())).await;
            world.faults[0].set_offline(true);
            let said = collect(&world, id).await;
            assert!(said.contains("dropped 1"), "{said}");
            world.faults[0].set_offline(false);
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

/// A move of a shard that never was acknowledged comes back with a remote after its object was dropped.
#[tokio::test]
async fn a_shard_record_of_a_dropped_object_is_void() {
    only_with(
        |rules| rules.void = false,
        async |rules| {
            let (world, id) = make(3, "none", 8, rules).await;
            let (pool, bytes) = (world.open(id).await.unwrap(), content(1, 50_000));
            put(&pool, "/f", &bytes).await.unwrap();
            let chunk = pool.entry(&path("/f")).unwrap().unwrap().content.extents()[0].chunk;
            let remote = pool.sync().await.unwrap().remotes[1].id().unwrap();
            let place = Place { index: 0, copy: 0, remote, nonce: Nonce(7) };
            half_done(&world, id, async |pool| {
                let moved = Record::Shard(ShardRecord { chunk, stamp: Stamp::ZERO, place });
                let view = pool.sync().await.unwrap();
                pool.journal().commit(&view, vec![moved]).await.unwrap_err();
            })
            .await;
            world.faults[0].set_offline(true);
            mark(&pool, Record::Dropped(Dropped { chunk, stamp: Stamp::ZERO, object: Some(place) })).await;
            world.faults[0].set_offline(false);
            pool.sync().await.unwrap();
            let read = get(&pool, "/f").await;
            hold(read.is_ok_and(|read| read == bytes), "a shard is looked for where it never was")
        },
    )
    .await;
}

/// Overwrites `/f` on a machine that dies between its commit and its look; `meanwhile` happens just before
/// the commit. Gives back the chunk it stored.
async fn overwrite_and_die(
    world: &mut World,
    id: PoolId,
    rules: Rules,
    meanwhile: impl Future<Output = ()> + Send + 'static,
) -> ChunkId {
    // Who does not look and whom nobody hears is dead.
    world.rules.look_after_commit = false;
    let (writer, script) = scripted(world, id).await;
    world.rules = rules;
    at_commit(&script, 1, world, meanwhile);
    put(&writer, "/f", &content(2, 50_000)).await.unwrap();
    assert_eq!(script.left(), 0);
    writer.entry(&path("/f")).unwrap().unwrap().content.extents()[0].chunk
}

/// One collector stands between its last look and its drop of the new data, when another finds the old data.
#[tokio::test]
async fn a_condemned_version_shadows_nothing() {
    only_with(
        |rules| rules.shadow = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 4, rules).await;
            let bytes = content(1, 50_000);
            put(&world.open(id).await.unwrap(), "/f", &bytes).await.unwrap();
            let (first, script) = scripted(&world, id).await;
            let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (r, g) = (reached.clone(), go.clone());
            at_commit(&script, 2, &world, async move {
                r.notify_one();
                g.notified().await;
            });
            let (sender, receiver) = tokio::sync::oneshot::channel();
            overwrite_and_die(&mut world, id, rules, async move {
                let _ = sender.send(tokio::spawn(async move { collect_as(&first).await }));
                reached.notified().await;
            })
            .await;
            collect(&world, id).await;
            go.notify_one();
            let said = receiver.await.unwrap().await.unwrap();
            assert!(said.contains("dropped 1"), "{said}");
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

async fn mark(pool: &Arc<Pool>, record: Record) {
    let view = pool.sync().await.unwrap();
    assert!(!pool.journal().commit(&view, vec![record]).await.unwrap().stale);
}

#[tokio::test]
async fn nor_does_it_in_compaction() {
    only_with(
        |rules| rules.shadow = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 5, rules).await;
            world.limits = Limits { compact_from: 3, ..Limits::default() };
            let bytes = content(1, 50_000);
            put(&world.open(id).await.unwrap(), "/f", &bytes).await.unwrap();
            let chunk = overwrite_and_die(&mut world, id, rules, async {}).await;
            let collector = world.open(id).await.unwrap();
            mark(&collector, Record::Condemned(Condemned { chunk, stamp: Stamp::ZERO })).await;
            let compactor = world.open(id).await.unwrap();
            while compactor.journal().compact().await.unwrap().is_some() {}
            mark(&collector, Record::Dropped(Dropped { chunk, stamp: Stamp::ZERO, object: None })).await;
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

/// Compacts small commits until nothing is left to merge.
async fn compact(world: &World, id: PoolId) {
    let pool = world.open(id).await.unwrap();
    let mut merged = 0;
    while pool.journal().compact().await.unwrap().is_some() {
        merged += 1;
    }
    assert!(merged > 0);
}

/// The deletion is merged with others; what it deletes lies in a commit of another size.
#[tokio::test]
async fn compaction_keeps_deletions() {
    only_with(
        |rules| rules.keep_tombstones = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 6, rules).await;
            world.limits = Limits { compact_from: 4, ..Limits::default() };
            let pool = world.open(id).await.unwrap();
            let dir = tempfile::tempdir().unwrap();
            for n in 0..60 {
                std::fs::write(dir.path().join(n.to_string()), content(n, 3500)).unwrap();
            }
            let (options, monitor) = Default::default();
            pool.upload_all(&[(dir.path().to_owned(), path("/d"))], &options, &monitor).await.unwrap();
            pool.delete(&path("/d/7"), false).await.unwrap();
            for n in 0..10 {
                put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap();
            }
            compact(&world, id).await;
            let other = world.open(id).await.unwrap();
            hold(other.entry(&path("/d/7")).unwrap().is_none(), "a deleted file is there again")
        },
    )
    .await;
}

#[tokio::test]
async fn inputs_go_only_where_the_result_lies() {
    only_with(
        |rules| rules.delete_beside_result = false,
        async |rules| {
            let (mut world, id) = make(4, "none", 7, rules).await;
            world.limits = Limits { compact_from: 4, ..Limits::default() };
            let pool = world.open(id).await.unwrap();
            for n in 0..12 {
                put(&pool, &format!("/{n}"), &content(n, 10)).await.unwrap();
            }
            pool.journal().settle(std::time::Duration::from_secs(9)).await;
            world.faults[3].set_full(true);
            compact(&world, id).await;
            // Reads work with any remote: whoever reaches that one only shows what it did before.
            world.faults[..3].iter().for_each(|faults| faults.set_offline(true));
            reads(&world, id, "/3", &content(3, 10)).await
        },
    )
    .await;
}
