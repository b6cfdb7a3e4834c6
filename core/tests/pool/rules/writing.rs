//! Rules of writing.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rclonepool_core::index::Index;
use rclonepool_core::journal::record::{Entry, Record};
use rclonepool_core::journal::{Limits, Rules};
use rclonepool_core::pool::{Source, UploadOptions};
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::history::shard_name;
use rclonepool_core::testing::world::Clock;
use rclonepool_core::{Monitor, Pool};

use super::{Outcome, at_commit, collect, collect_as, hold, make, nth_commit, only_with, reads};
use crate::{content, is_commit, path, put, put_directory, scripted};

#[tokio::test]
async fn names_belong_to_one_put() {
    only_with(
        |rules| rules.unique_names = false,
        async |rules| {
            let (world, id) = make(3, "none", 1, rules).await;
            let bytes = content(1, 50_000);
            let pool = world.open(id).await.unwrap();
            put(&pool, "/f", &bytes).await.unwrap();
            pool.delete(&path("/f"), false).await.unwrap();
            let said = collect(&world, id).await;
            assert!(said.contains("dropped 1"), "{said}");
            // The same bytes again, after their chunk was dropped for ever.
            put(&pool, "/f", &bytes).await.map_err(|error| error.to_string())?;
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

#[tokio::test]
async fn parts_count_only_together() {
    only_with(
        |rules| rules.parts_wait = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 2, rules).await;
            world.limits = Limits { part_bytes: 2_000, ..Limits::default() };
            let pool = world.open(id).await.unwrap();
            for n in 0..12 {
                put(&pool, &format!("/a/{n}"), &content(n, 500)).await.unwrap();
            }
            // The machine loses all remotes in the middle of its commits.
            let (mover, script) = scripted(&world, id).await;
            let faults = world.faults.clone();
            script.before(nth_commit(3), async move { faults.iter().for_each(|faults| faults.set_full(true)) });
            mover.rename(&path("/a"), &path("/b"), false).await.unwrap_err();
            assert_eq!(script.left(), 0);
            world.faults.iter().for_each(|faults| faults.set_full(false));
            let other = world.open(id).await.unwrap();
            let count = |directory| other.list(&path(directory)).map_or(0, |listed| listed.len());
            hold((count("/a"), count("/b")) == (12, 0), format!("{} files here, {} there", count("/a"), count("/b")))
        },
    )
    .await;
}

#[tokio::test]
async fn a_wrong_clock_does_not_win_for_a_day() {
    only_with(
        |rules| rules.bounded_stamps = false,
        async |rules| {
            let (world, id) = make(2, "replication:2", 3, rules).await;
            let (wrong, index) = (world.machine(), || Index::in_memory().unwrap());
            wrong.set_skew(86_400_000);
            let ahead = world.open_as(id, wrong, &Crash::never(), index()).await.unwrap();
            let right = world.open(id).await.unwrap();
            // Each sees one remote only, so neither sees the other.
            world.faults[1].set_offline(true);
            assert!(put(&ahead, "/f", &content(1, 10)).await.unwrap().stale);
            world.faults[1].set_offline(false);
            world.faults[0].set_offline(true);
            world.pass(Duration::from_secs(3600));
            for n in 0..3 {
                assert!(put(&right, &format!("/{n}"), &content(n, 10)).await.unwrap().stale);
            }
            assert!(put(&right, "/f", &content(2, 10)).await.unwrap().stale);
            world.faults[0].set_offline(false);
            reads(&world, id, "/f", &content(2, 10)).await
        },
    )
    .await;
}

#[tokio::test]
async fn a_write_rests_on_a_view_of_its_own() {
    only_with(
        |rules| rules.view_before_commit = false,
        async |rules| {
            let (world, id) = make(3, "none", 4, rules).await;
            let slow = world.machine();
            slow.set_skew(-3_600_000);
            let later = world.open_as(id, slow, &Crash::never(), Index::in_memory().unwrap()).await.unwrap();
            world.pass(Duration::from_secs(60));
            put(&world.open(id).await.unwrap(), "/f", &content(1, 10)).await.unwrap();
            assert!(!put(&later, "/f", &content(2, 10)).await.unwrap().stale);
            reads(&world, id, "/f", &content(2, 10)).await
        },
    )
    .await;
}

#[tokio::test]
async fn an_acknowledged_commit_outlives_one_remote() {
    only_with(
        |rules| rules.quorum = false,
        async |mut rules| {
            rules.anti_entropy = false;
            let (world, id) = make(4, "replication:2", 5, rules).await;
            let pool = world.open(id).await.unwrap();
            world.faults[1..].iter().for_each(|faults| faults.set_full(true));
            let acknowledged = put(&pool, "/f", &content(1, 10)).await.is_ok();
            world.faults[1..].iter().for_each(|faults| faults.set_full(false));
            world.faults[0].set_lost(true);
            let read = reads(&world, id, "/f", &content(1, 10)).await;
            if acknowledged { read } else { Ok(()) }
        },
    )
    .await;
}

/// The collector condemned the data before its commit, and drops it after that.
#[tokio::test]
async fn commit_then_look() {
    only_with(
        |rules| rules.look_after_commit = false,
        async |rules| {
            let (world, id) = make(3, "none", 6, rules).await;
            let (writer, writing) = scripted(&world, id).await;
            let (collector, collecting) = scripted(&world, id).await;
            let bytes = content(1, 50_000);
            let written = {
                let (writer, bytes) = (writer.clone(), bytes.clone());
                async move { put(&writer, "/f", &bytes).await.map(drop).unwrap() }
            };
            let (go, begun) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
            // Stored, not committed: the collector condemns it, looks, and is about to drop it.
            let (g, b) = (go.clone(), begun.clone());
            let collected = tokio::spawn({
                let collector = collector.clone();
                async move {
                    b.notified().await;
                    collect_as(&collector).await
                }
            });
            let reached = Arc::new(tokio::sync::Notify::new());
            let r = reached.clone();
            at_commit(&writing, 1, &world, async move {
                begun.notify_one();
                r.notified().await;
            });
            at_commit(&collecting, 2, &world, async move {
                reached.notify_one();
                g.notified().await;
            });
            written.await;
            go.notify_one();
            let said = collected.await.unwrap();
            assert_eq!((writing.left(), collecting.left()), (0, 0), "{said}");
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

/// As [`commit_then_look`], for data that is there: it was let go of, and is used again while a collector is about to
/// drop it.
#[tokio::test]
async fn use_again_then_look() {
    only_with(
        |rules| rules.look_after_commit = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 11, rules).await;
            world.settings.deduplication = true;
            let (bytes, small) = (content(1, 150_000), content(2, 6_000));
            let first = world.open(id).await.unwrap();
            put(&first, "/large", &bytes).await.unwrap();
            put(&first, "/small", &small).await.unwrap();
            first.delete(&path("/large"), false).await.unwrap();
            first.delete(&path("/small"), false).await.unwrap();
            let (writer, writing) = scripted(&world, id).await;
            let (collector, collecting) = scripted(&world, id).await;
            let directory = tempfile::tempdir().unwrap();
            for (name, bytes) in [("large", &bytes), ("small", &small)] {
                std::fs::write(directory.path().join(name), bytes).unwrap();
            }
            let [go, begun, reached] = std::array::from_fn(|_| Arc::new(tokio::sync::Notify::new()));
            let (g, b, r) = (go.clone(), begun.clone(), reached.clone());
            let collected = tokio::spawn(async move {
                b.notified().await;
                collect_as(&collector).await
            });
            at_commit(&writing, 1, &world, async move {
                begun.notify_one();
                r.notified().await;
            });
            at_commit(&collecting, 2, &world, async move {
                reached.notify_one();
                g.notified().await;
            });
            let report = put_directory(&writer, directory.path(), "/d").await.unwrap();
            // Said to be there, and stored anew where the look showed that it goes.
            let shared = if rules.look_after_commit { 0 } else { 156_000 };
            assert_eq!((report.files, report.deduplicated_bytes), (2, shared));
            go.notify_one();
            let said = collected.await.unwrap();
            assert_eq!((writing.left(), collecting.left()), (0, 0), "{said}");
            assert!(said.contains("dropped 3"), "{said}");
            reads(&world, id, "/d/large", &bytes).await?;
            reads(&world, id, "/d/small", &small).await
        },
    )
    .await;
}

/// A source that can be read once, and takes longer than a commit's interval for each chunk.
struct Slow(Arc<Clock>, std::io::Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.1.position().is_multiple_of(super::CHUNK) {
            self.0.pass(Duration::from_secs(660));
        }
        // Not past the end of a chunk.
        let left = super::CHUNK - self.1.position() % super::CHUNK;
        let most = buffer.len().min(left as usize);
        self.1.read(&mut buffer[..most])
    }
}

#[tokio::test]
async fn a_long_upload_keeps_what_it_stored() {
    only_with(
        |rules| rules.keep_uploads = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 7, rules).await;
            // A chunk at a time, and each is committed when it is stored.
            world.settings.upload_workers = 1;
            let (pool, script) = scripted(&world, id).await;
            let collector = world.open(id).await.unwrap();
            let shards = Mutex::new(BTreeSet::new());
            let third = move |_: &str, verb: Verb, name: &str| {
                let mut shards = shards.lock().unwrap();
                if verb == Verb::Put {
                    shards.extend(shard_name(name));
                }
                shards.len() == 3
            };
            script.before(third, async move { drop(collect_as(&collector).await) });
            let bytes = content(1, 450_000);
            let source = Source::Stream(Box::new(Slow(world.clock.clone(), std::io::Cursor::new(bytes.to_vec()))));
            let done = pool.upload(source, &path("/f"), &UploadOptions::default(), &Monitor::default()).await;
            assert_eq!(script.left(), 0);
            done.map_err(|error| error.to_string())?;
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

#[tokio::test]
async fn a_resumed_upload_proves_its_shards() {
    only_with(
        |rules| rules.prove_resumed = false,
        async |rules| {
            let (world, id) = make(3, "none", 8, rules).await;
            let pool = world.open(id).await.unwrap();
            let (bytes, dir) = (content(1, 250_000), tempfile::tempdir().unwrap());
            let file = dir.path().join("file");
            std::fs::write(&file, &bytes).unwrap();
            let upload = async |pool: &Arc<Pool>| {
                pool.upload(Source::File(file.clone()), &path("/f"), &UploadOptions::default(), &Monitor::default())
                    .await
            };
            let (first, script) = scripted(&world, id).await;
            let faults = world.faults.clone();
            script.before(is_commit, async move { faults.iter().for_each(|faults| faults.set_full(true)) });
            upload(&first).await.unwrap_err();
            world.faults.iter().for_each(|faults| faults.set_full(false));
            // A disk is set back to what it was.
            let with_shards = world.stores.iter().find(|s| s.names().iter().any(|n| shard_name(n).is_some())).unwrap();
            for name in with_shards.names().iter().filter(|name| shard_name(name).is_some()) {
                with_shards.remove(name);
            }
            drop(pool);
            let report = upload(&first).await.unwrap();
            assert!(rules.prove_resumed || report.resumed_bytes == 250_000, "{report:?}");
            reads(&world, id, "/f", &bytes).await
        },
    )
    .await;
}

#[tokio::test]
async fn a_deletion_names_what_it_saw() {
    only_with(
        |rules| rules.deletion_names_version = false,
        async |rules| {
            let (world, id) = make(3, "none", 9, rules).await;
            let other = world.open(id).await.unwrap();
            put(&other, "/a/f", &content(1, 10)).await.unwrap();
            let (mover, script) = scripted(&world, id).await;
            script
                .before(is_commit, async move { assert!(!put(&other, "/a/f", &content(2, 10)).await.unwrap().stale) });
            mover.rename(&path("/a"), &path("/b"), false).await.unwrap();
            assert_eq!(script.left(), 0);
            reads(&world, id, "/a/f", &content(2, 10)).await
        },
    )
    .await;
}

/// There is no care yet that writes versions: these are written by hand.
#[tokio::test]
async fn care_keeps_the_users_stamp() {
    let history = async |rules: Rules| -> Outcome {
        let (world, id) = make(3, "none", 10, rules).await;
        let pool = world.open(id).await.unwrap();
        put(&pool, "/f", &content(1, 10)).await.unwrap();
        let seen: Entry = pool.entry(&path("/f")).unwrap().unwrap();
        // The user writes while care works on the version it saw.
        put(&world.open(id).await.unwrap(), "/f", &content(2, 10)).await.unwrap();
        let again = Record::Entry(Entry { rev: seen.rev + 1, ..seen });
        let view = pool.sync().await.unwrap();
        let _receipt = pool.journal().commit(&view, vec![again]).await.unwrap();
        reads(&world, id, "/f", &content(2, 10)).await
    };
    only_with(|rules| rules.keep_users_stamp = false, history).await;
}
