//! Files repaired from local copies, and healed after reads.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rclonepool_core::testing::world::World;
use rclonepool_core::{ErrorKind, Monitor, Pool};

use crate::{assert_whole, content, get, path, put, remove, shards, store_of};

const CHUNK: u64 = 300_000;
const SIZE: usize = 700_001;

struct Case {
    world: World,
    pool: Arc<Pool>,
    bytes: Bytes,
    dir: tempfile::TempDir,
}

impl Case {
    async fn new(redundancy: &str) -> Self {
        let world = World::new(6, redundancy.parse().unwrap(), CHUNK, 3);
        let id = world.init().await.unwrap();
        let pool = world.open(id).await.unwrap();
        let bytes = content(9, SIZE);
        put(&pool, "/f", &bytes).await;
        Self { world, pool, bytes, dir: tempfile::tempdir().unwrap() }
    }

    fn local(&self, bytes: &[u8]) -> PathBuf {
        let file = self.dir.path().join("copy");
        std::fs::write(&file, bytes).unwrap();
        file
    }

    async fn refusal(&self, bytes: &[u8]) -> String {
        let copy = self.local(bytes);
        let error = self.pool.repair(&path("/f"), &copy, false, &Monitor::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        error.to_string()
    }
}

#[tokio::test]
async fn a_file_with_too_few_shards_left_is_repaired_from_its_copy() {
    for redundancy in ["none", "parity:3+1", "replication:2", "hybrid:2+1x2"] {
        let case = Case::new(redundancy).await;
        let all = shards(&case.pool, "/f").await;
        for shard in &all[0] {
            remove(&case.world, shard);
        }
        let flipped = &all[1][0];
        assert!(case.world.stores[store_of(&case.world, &flipped.object).unwrap()].flip(&flipped.object, 77));
        let cut = &all[2][0];
        assert!(case.world.stores[store_of(&case.world, &cut.object).unwrap()].truncate(&cut.object, 9));
        assert!(get(&case.pool, "/f").await.is_err());
        let copy = case.local(&case.bytes);
        let dry = case.pool.repair(&path("/f"), &copy, true, &Monitor::default()).await.unwrap();
        assert_eq!((dry.damaged.len(), dry.rebuilt.shards), (all[0].len() + 2, 0), "{redundancy}");
        let report = case.pool.repair(&path("/f"), &copy, false, &Monitor::default()).await.unwrap();
        assert_eq!(report.rebuilt.shards as usize, all[0].len() + 2);
        assert_eq!((report.rebuilt.chunks, report.unknown), (3, 0));
        assert_whole(&case.world, &case.pool, "/f").await;
        let other = case.world.open(case.pool.id()).await.unwrap();
        assert_eq!(get(&other, "/f").await.unwrap(), case.bytes);
        let again = other.repair(&path("/f"), &copy, false, &Monitor::default()).await.unwrap();
        assert_eq!((again.damaged.len(), again.rebuilt.shards), (0, 0));
    }
}

#[tokio::test]
async fn another_content_is_refused_with_its_first_differing_offset() {
    let case = Case::new("parity:3+1").await;
    for at in [0, 5, 299_999, 300_000, 450_123, SIZE - 1] {
        let mut other = case.bytes.to_vec();
        other[at] ^= 1;
        other[SIZE - 1] ^= 2;
        let refusal = case.refusal(&other).await;
        assert!(
            refusal.contains(&format!("the first difference is at offset {at}:"))
                || refusal.contains(&format!("the first difference is at offset {at} (")),
            "{at}: {refusal}"
        );
    }
    let short = case.refusal(&case.bytes[..500_000]).await;
    assert!(short.contains("offset 500000 (500000 bytes instead of 700001)"), "{short}");
    let mut long = case.bytes.to_vec();
    long.push(0);
    let refusal = case.refusal(&long).await;
    assert!(refusal.contains("offset 700001 (700002 bytes"), "{refusal}");
    long[3] ^= 1;
    assert!(case.refusal(&long).await.contains("offset 3 ("));
    // What cannot be read is told from the checksums, unit by unit.
    for shard in &shards(&case.pool, "/f").await[0] {
        remove(&case.world, shard);
    }
    let unit = case.pool.stat(&path("/f")).await.unwrap().chunks[0].layout.unit as usize;
    let mut other = case.bytes.to_vec();
    other[unit + 10] ^= 1;
    let refusal = case.refusal(&other).await;
    assert!(refusal.contains(&format!("at offset {unit}, or in the {unit} bytes from there")), "{refusal}");
}

#[tokio::test]
async fn small_files_are_compared_and_need_nothing() {
    let case = Case::new("parity:3+1").await;
    put(&case.pool, "/small", &content(1, 100)).await;
    let copy = case.local(&content(1, 100));
    let report = case.pool.repair(&path("/small"), &copy, false, &Monitor::default()).await.unwrap();
    assert_eq!((report.checked, report.damaged.len()), (0, 0));
    let error = case.pool.repair(&path("/small"), &case.local(b"else"), false, &Monitor::default()).await.unwrap_err();
    assert!(error.to_string().contains("offset 0 (4 bytes instead of 100)"), "{error}");
    let error = case.pool.repair(&path("/none"), &copy, false, &Monitor::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn what_lies_on_an_offline_remote_is_unknown_and_left_alone() {
    let case = Case::new("parity:3+1").await;
    case.world.faults[1].set_offline(true);
    case.pool.sync().await.unwrap();
    let copy = case.local(&case.bytes);
    let report = case.pool.repair(&path("/f"), &copy, false, &Monitor::default()).await.unwrap();
    assert!(report.unknown > 0);
    assert_eq!((report.damaged.len(), report.rebuilt.shards), (0, 0));
}

#[tokio::test]
async fn a_read_notes_what_is_damaged_and_not_what_is_offline() {
    let case = Case::new("parity:3+1").await;
    case.world.faults[2].set_offline(true);
    assert_eq!(get(&case.pool, "/f").await.unwrap(), case.bytes);
    assert!(case.pool.damage().unwrap().is_empty());
    case.world.faults[2].set_offline(false);
    case.pool.sync().await.unwrap();
    let all = shards(&case.pool, "/f").await;
    remove(&case.world, &all[0][0]);
    let at = store_of(&case.world, &all[1][1].object).unwrap();
    assert!(case.world.stores[at].flip(&all[1][1].object, 3));
    assert_eq!(get(&case.pool, "/f").await.unwrap(), case.bytes);
    assert_eq!(case.pool.damage().unwrap().len(), 2);
    let healed = case.pool.heal_noted(&Monitor::default()).await.unwrap();
    assert_eq!((healed.shards, healed.failed), (2, 0));
    assert!(case.pool.damage().unwrap().is_empty());
    assert_whole(&case.world, &case.pool, "/f").await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_lives_long_heals_by_itself_where_it_is_to() {
    for on in [true, false] {
        let mut case = Case::new("parity:3+1").await;
        case.world.settings.auto_heal = on;
        let pool = case.world.open(case.pool.id()).await.unwrap();
        let _healing = pool.start_healing(&Monitor::default());
        let shard = &shards(&pool, "/f").await[1][0];
        remove(&case.world, shard);
        assert_eq!(get(&pool, "/f").await.unwrap(), case.bytes);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(pool.damage().unwrap().is_empty(), on);
        if on {
            assert_whole(&case.world, &pool, "/f").await;
        }
    }
}
