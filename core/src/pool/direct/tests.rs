use std::path::{Path, PathBuf};

use super::*;
use crate::index::Index;
use crate::path::PoolPath;
use crate::pool::{DownloadOptions, DownloadReport, Source, UploadOptions};
use crate::remote::{DirectoryRemote, SharedRemote};
use crate::testing::world::World;

const UNIT: u64 = 1 << 20;
const CHUNK: u64 = 6 * UNIT + 1000;
const SIZE: u64 = CHUNK + 2 * UNIT + 77;

struct Fixture {
    pool: Arc<Pool>,
    home: tempfile::TempDir,
    bytes: Vec<u8>,
}

fn path(text: &str) -> PoolPath {
    PoolPath::new(text).unwrap()
}

impl Fixture {
    /// `/f` of two chunks over four directories.
    async fn new(mode: &str) -> Self {
        let world = World::new(0, mode.parse().unwrap(), CHUNK, 7);
        let home = tempfile::tempdir().unwrap();
        let remote = |n| {
            let path = home.path().join(format!("remote{n}"));
            std::fs::create_dir(&path).unwrap();
            Arc::new(DirectoryRemote::new(path)) as SharedRemote
        };
        let remotes: Vec<_> = (0..4).map(remote).collect();
        let id = world.init_over(&remotes).await.unwrap();
        let pool = world.open_over(id, world.machine(), remotes, Index::in_memory().unwrap()).await.unwrap();
        let bytes: Vec<u8> = (0..SIZE).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
        let fixture = Self { pool, home, bytes };
        fixture.put("/f", &fixture.bytes).await;
        fixture
    }

    async fn put(&self, to: &str, bytes: &[u8]) {
        let source = Source::Bytes(bytes.to_vec().into());
        self.pool.upload(source, &path(to), &UploadOptions::default(), &Monitor::default()).await.unwrap();
    }

    fn extents(&self, of: &str) -> Vec<Extent> {
        self.pool.index.entry(&path(of)).unwrap().unwrap().content.extents().to_vec()
    }

    /// The file of a shard of the first chunk of `/f`.
    fn shard(&self, index: u8) -> PathBuf {
        let chunk = self.pool.chunk(self.extents("/f")[0].chunk).unwrap().record;
        let place = chunk.shards.iter().find(|place| place.index == index).unwrap();
        let root = self.pool.remote_label(place.remote);
        Path::new(&root).join(self.pool.shard_object(chunk.chunk, place.index, place.nonce))
    }

    /// How much of each extent of `/f` comes directly.
    async fn direct(&self) -> Vec<u64> {
        let target = Arc::new(Target::create(&self.home.path().join("direct")).unwrap());
        let mut done = Vec::new();
        for extent in self.extents("/f") {
            let begun = self.pool.copy_direct(&extent, &target, &Monitor::default()).await.unwrap();
            let (from, bytes) = (extent.offset as usize, begun.bytes as usize);
            assert_eq!(begun.hasher.finish(), crate::stage::hash::sha256(&self.bytes[from..from + bytes]));
            done.push(begun.bytes);
        }
        let chunk = self.pool.chunk(self.extents("/f")[0].chunk).unwrap().record;
        assert!(chunk.shards.iter().all(|place| self.pool.placement.load(place.remote) == 0));
        done
    }

    async fn download(&self) -> Result<DownloadReport> {
        let (to, options) = (self.home.path().join("back"), DownloadOptions { force: true, ..Default::default() });
        let report = self.pool.download(&path("/f"), &to, &options, &Monitor::default()).await?;
        assert!(std::fs::read(&to).unwrap() == self.bytes, "other bytes");
        std::fs::remove_file(to).unwrap();
        Ok(report)
    }
}

fn flip(file: &Path, at: u64) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes[at as usize] ^= 1;
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_where_all_is_well() {
    for mode in ["none", "replication:2", "parity:3+1", "parity:2+1"] {
        let fixture = Fixture::new(mode).await;
        assert_eq!(fixture.direct().await, [CHUNK, SIZE - CHUNK], "{mode}");
        assert_eq!(fixture.download().await.unwrap().degraded, 0, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_to_a_damaged_unit_and_the_rest_is_rebuilt() {
    type Harm = fn(&Path);
    // Under 3+1 the second unit of shard 1 is the fifth of the chunk.
    let cases: [(&str, Harm, u64); 4] = [
        ("flipped", |file| flip(file, UNIT + 5), 4 * UNIT),
        ("flipped at once", |file| flip(file, 0), UNIT),
        ("cut", |file| std::fs::write(file, &std::fs::read(file).unwrap()[1..]).unwrap(), 0),
        ("gone", |file| std::fs::remove_file(file).unwrap(), 0),
    ];
    for (what, harm, good) in cases {
        let fixture = Fixture::new("parity:3+1").await;
        harm(&fixture.shard(1));
        assert_eq!(fixture.direct().await, [good, SIZE - CHUNK], "{what}");
        assert_eq!(fixture.download().await.unwrap().degraded, 1, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_rebuilt_leaves_no_file() {
    let fixture = Fixture::new("none").await;
    flip(&fixture.shard(0), 3 * UNIT);
    assert_eq!(fixture.direct().await, [3 * UNIT, SIZE - CHUNK]);
    assert_eq!(fixture.download().await.unwrap_err().kind(), ErrorKind::Unrecoverable);
    assert!(!fixture.home.path().join("back").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_chunk() {
    let fixture = Fixture::new("parity:3+1").await;
    let extent = fixture.extents("/f")[0].clone();
    for (from, to) in [(0, 10), (UNIT - 1, UNIT + 1), (2 * UNIT + 7, 5 * UNIT + 3), (CHUNK - 1, CHUNK)] {
        let part = Extent { offset: 3, length: to - from, chunk_offset: from, ..extent.clone() };
        let dir = tempfile::tempdir().unwrap();
        let target = Arc::new(Target::create(&dir.path().join("part")).unwrap());
        let begun = fixture.pool.copy_direct(&part, &target, &Monitor::default()).await.unwrap();
        assert_eq!(begun.bytes, to - from);
        let bytes = &fixture.bytes[from as usize..to as usize];
        assert_eq!(begun.hasher.finish(), crate::stage::hash::sha256(bytes));
        let written = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
        assert!(std::fs::read(written).unwrap()[3..] == *bytes, "{from}..{to}");
    }
}
