//! Random records and commits over few paths, chunks and remotes, so that they meet.

use crate::id::{ChunkId, Nonce, OperationId, PoolId, RemoteId, Sha256, Stamp, WriterId};
use crate::journal::commit::{Commit, CommitName};
use crate::journal::record::{
    ChunkRecord, Condemned, Content, Deleted, Dropped, Entry, Extent, FileHashes, Place, PoolRecord, Record,
    RemoteRecord, RemoteState, ShardRecord, UnitChecksums, UploadRecord,
};
use crate::path::PoolPath;
use crate::redundancy::Redundancy;
use crate::stage::layout::Layout;
use crate::stage::place::Strategy;
use crate::testing::fault::SplitMix;

pub type Named = (CommitName, Commit);

const PATHS: [&str; 5] = ["/a", "/a/b", "/a/b/c", "/d", "/e/f"];
const CHUNKS: u64 = 6;
const REMOTES: u64 = 4;
const UNIT: u32 = 4096;

pub struct Generator {
    random: SplitMix,
    pub pool: PoolId,
    clock: u64,
    /// What deletions and maintenance can refer to.
    entries: Vec<Entry>,
    places: Vec<(ChunkId, Place)>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix(seed), pool: PoolId(7), clock: 1000, entries: Vec::new(), places: Vec::new() }
    }

    pub fn stamp(&mut self) -> Stamp {
        // Writers' clocks differ: later stamps are not always greater.
        self.clock += 1;
        let ms = self.clock / 4 + self.random.below(4);
        Stamp { ms, counter: u32::try_from(self.clock).unwrap(), writer: WriterId(self.random.below(3)) }
    }

    pub fn chunk(&self, n: u64) -> ChunkId {
        // Spread over the id space as real ones are.
        ChunkId(u128::from(SplitMix(n).bits()) << 64 | u128::from(n))
    }

    fn some_chunk(&mut self) -> u64 {
        self.random.below(CHUNKS)
    }

    fn some_path(&mut self) -> &'static str {
        PATHS[self.random.below(PATHS.len() as u64) as usize]
    }

    fn remote(&mut self) -> RemoteId {
        RemoteId(u128::from(self.random.below(REMOTES)) + 1)
    }

    fn place(&mut self, chunk: ChunkId) -> Place {
        let (index, copy) = (self.random.below(3) as u8, self.random.below(2) as u8);
        let place = Place { index, copy, remote: self.remote(), nonce: Nonce(self.random.bits()) };
        self.places.push((chunk, place));
        place
    }

    pub fn chunk_record(&mut self, n: u64) -> Record {
        let chunk = self.chunk(n);
        // What a chunk is follows from its id; only places differ.
        let layout = Layout { data: 2, parity: 1, copies: 2, unit: UNIT };
        let stored = 5000 + n;
        let units = |index| vec![n as u32; usize::try_from(layout.units(stored, index)).unwrap()];
        let shards = (0..=self.random.below(3)).map(|_| self.place(chunk)).collect::<Vec<_>>();
        let mut one_each: Vec<Place> = Vec::new();
        for place in shards {
            if !one_each.iter().any(|p| (p.index, p.copy) == (place.index, place.copy)) {
                one_each.push(place);
            }
        }
        Record::Chunk(ChunkRecord {
            chunk,
            stamp: self.stamp(),
            size: stored,
            stored,
            sha256: None,
            compression: None,
            transforms: Vec::new(),
            layout,
            units: (0..3).map(|index| UnitChecksums(units(index))).collect(),
            shards: one_each,
        })
    }

    fn entry(&mut self, path: &str, content: Content) -> Record {
        let entry = Entry {
            path: PoolPath::new(path).unwrap(),
            stamp: self.stamp(),
            rev: 0,
            mtime_ns: 0,
            created_ms: 0,
            executable: false,
            content_type: None,
            properties: Vec::new(),
            content,
        };
        self.entries.push(entry.clone());
        Record::Entry(entry)
    }

    pub fn file(&mut self, path: &str, chunk: u64) -> Record {
        let extent =
            Extent { offset: 0, length: 10, sha256: Sha256([0; 32]), chunk: self.chunk(chunk), chunk_offset: 0 };
        let content = Content::File { size: 10, chunk_size: 10, extents: vec![extent], hashes: FileHashes::default() };
        self.entry(path, content)
    }

    pub fn inline(&mut self, path: &str, byte: u8) -> Record {
        self.entry(path, Content::Inline { sha256: Sha256([byte; 32]), data: vec![byte] })
    }

    pub fn dropped(&mut self, chunk: u64) -> Record {
        Record::Dropped(Dropped { chunk: self.chunk(chunk), stamp: self.stamp(), object: None })
    }

    fn remote_record(&mut self) -> Record {
        let states = [
            RemoteState::Joining,
            RemoteState::Active,
            RemoteState::Active,
            RemoteState::Draining,
            RemoteState::Leaving,
            RemoteState::Removed,
        ];
        let state = states[self.random.below(6) as usize];
        let remote = self.remote();
        let (stamp, weight) = (self.stamp(), self.random.below(5) as f64);
        let label = format!("r{}", remote.0);
        Record::Remote(RemoteRecord { remote, stamp, label, state, weight, priority: 0, quota: None, domain: None })
    }

    fn record(&mut self) -> Record {
        let path = self.some_path();
        let n = self.some_chunk();
        match self.random.below(20) {
            0..=4 => self.file(path, n),
            5 | 6 => self.inline(path, 3),
            7 => self.entry(path, Content::Directory {}),
            8 | 9 => self.chunk_record(n),
            10 => {
                let chunk = self.chunk(n);
                Record::Shard(ShardRecord { chunk, stamp: self.stamp(), place: self.place(chunk) })
            }
            11..=13 => match self.entries.is_empty() {
                true => self.inline(path, 4),
                false => {
                    let at = self.random.below(self.entries.len() as u64) as usize;
                    let (path, of) = (self.entries[at].path.clone(), self.entries[at].stamp);
                    Record::Deleted(Deleted { path, stamp: self.stamp(), of, purge: self.random.chance(0.2) })
                }
            },
            14 => match self.entries.last().cloned() {
                Some(entry) if self.random.chance(0.5) => {
                    // Maintenance: another chunk under the user's stamp.
                    let Record::Entry(other) = self.file(entry.path.as_str(), n) else { unreachable!() };
                    Record::Entry(Entry { rev: entry.rev + 1, content: other.content, ..entry })
                }
                _ => self.file(path, n),
            },
            15 => Record::Condemned(Condemned { chunk: self.chunk(n), stamp: self.stamp() }),
            16 => match self.places.last().copied() {
                Some((chunk, place)) if self.random.chance(0.7) => {
                    Record::Dropped(Dropped { chunk, stamp: self.stamp(), object: Some(place) })
                }
                _ if self.random.chance(0.5) => self.dropped(n),
                _ => self.inline(path, 5),
            },
            17 => self.remote_record(),
            18 => {
                let chunks = vec![self.chunk(n)];
                Record::Upload(UploadRecord { upload: OperationId(1), stamp: self.stamp(), ended: n == 0, chunks })
            }
            _ => Record::Pool(PoolRecord {
                pool: self.pool,
                stamp: self.stamp(),
                created_ms: 1,
                redundancy: Redundancy::NONE,
                chunk_size: 1 + n,
                strategy: Strategy::LeastUsed,
                data_prefix: "d".into(),
                commit_quorum: None,
                trash_hours: self.random.below(3),
            }),
        }
    }

    /// Names a commit of records.
    pub fn commit(&mut self, records: Vec<Record>) -> Named {
        let commit = Commit::new(self.pool, records);
        (commit.encode().unwrap().0, commit)
    }

    /// An operation of one commit, now and then of several: its parts, then what closes them.
    fn operation(&mut self) -> Vec<Named> {
        let records = |generator: &mut Self| -> Vec<Record> {
            (0..=generator.random.below(4)).map(|_| generator.record()).collect()
        };
        let parts = if self.random.chance(0.15) { 1 + self.random.below(2) } else { 0 };
        let operation = OperationId(u128::from(self.random.bits()));
        let mut commits = Vec::new();
        for _ in 0..parts {
            let mut part = Commit::new(self.pool, records(self));
            part.part_of = Some(operation);
            commits.push((part.encode().unwrap().0, part));
        }
        let mut last = Commit::new(self.pool, records(self));
        last.closes = commits.iter().map(|(name, _)| *name).collect();
        commits.push((last.encode().unwrap().0, last));
        commits
    }

    /// About `operations` operations, in the order they were made.
    pub fn history(&mut self, operations: usize) -> Vec<Named> {
        (0..operations).flat_map(|_| self.operation()).collect()
    }
}
