//! Rules of reading.

use std::time::Duration;

use rclonepool_core::id::{Nonce, Stamp};
use rclonepool_core::journal::record::{Dropped, Place, Record, ShardRecord};
use rclonepool_core::testing::history::{commits_in, shard_name};

use super::{collect, hold, make, only_with};
use crate::{content, get, put};

#[tokio::test]
async fn an_absent_shard_may_have_moved() {
    only_with(
        |rules| rules.list_again = false,
        async |rules| {
            let (world, id) = make(3, "none", 1, rules).await;
            let bytes = content(1, 50_000);
            let reader = world.open(id).await.unwrap();
            put(&reader, "/f", &bytes).await.unwrap();
            // Another machine moves the only shard.
            let other = world.open(id).await.unwrap();
            let from = world.stores.iter().position(|s| s.names().iter().any(|n| shard_name(n).is_some())).unwrap();
            let to = (from + 1) % 3;
            let old = world.stores[from].names().into_iter().find(|name| shard_name(name).is_some()).unwrap();
            let (chunk, nonce) = shard_name(&old).unwrap();
            let view = other.sync().await.unwrap();
            let ids: Vec<_> = view.remotes.iter().map(|status| status.id().unwrap()).collect();
            let place = |remote, nonce| Place { index: 0, copy: 0, remote, nonce };
            let new = old.replace(&nonce.to_string(), &Nonce(7).to_string());
            world.stores[to].insert(new, world.stores[from].object(&old).unwrap());
            let moved = ShardRecord { chunk, stamp: Stamp::ZERO, place: place(ids[to], Nonce(7)) };
            let gone = Dropped { chunk, stamp: Stamp::ZERO, object: Some(place(ids[from], nonce)) };
            let records = vec![Record::Shard(moved), Record::Dropped(gone)];
            assert!(!other.journal().commit(&view, records).await.unwrap().stale);
            world.stores[from].remove(&old);
            world.pass(Duration::from_secs(60));
            hold(get(&reader, "/f").await.is_ok_and(|read| read == bytes), "what was moved is taken for lost")
        },
    )
    .await;
}

#[tokio::test]
async fn an_unreadable_commit_blocks_care_and_not_reads() {
    only_with(
        |rules| rules.unreadable_blocks = false,
        async |rules| {
            let (mut world, id) = make(4, "parity:2+1", 2, rules).await;
            let before = content(1, 90_000);
            let bytes = content(2, 90_000);
            let pool = world.open(id).await.unwrap();
            put(&pool, "/old", &before).await.unwrap();
            let known: Vec<_> = commits_in(&world.stores[0]).into_keys().collect();
            put(&pool, "/f", &bytes).await.unwrap();
            pool.close().await;
            // Its commit is damaged wherever it can be reached just now.
            let new = *commits_in(&world.stores[0]).keys().find(|name| !known.contains(name)).unwrap();
            for store in &world.stores[1..] {
                assert!(store.flip(&format!("manifests/commits/{new}"), 30));
            }
            world.faults[0].set_offline(true);
            world.rules.anti_entropy = false;
            collect(&world, id).await;
            let reader = world.open(id).await.unwrap();
            assert_eq!(get(&reader, "/old").await.unwrap(), before, "reads go on");
            world.faults[0].set_offline(false);
            let read = get(&world.open(id).await.unwrap(), "/f").await;
            hold(read.is_ok_and(|read| read == bytes), "an acknowledged file was collected")
        },
    )
    .await;
}
