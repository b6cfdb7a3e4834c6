//! What the stages cost: `scripts/bench stages`. The figures that chose `STRIP_BYTES`, the kernels and
//! the SHA-256 provider came from here. CPU seconds per GiB are one by the GiB/s that are told. Times are CPU times of the thread, so that a busy
//! machine falsifies them less.
#![allow(missing_docs, reason = "criterion makes public functions")]

use std::hint::black_box;
use std::num::NonZeroU64;
use std::time::Duration;

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{BenchmarkId, Throughput, criterion_group, criterion_main};
use rclonepool_core::stage::chunk::content::Cutter;
use rclonepool_core::stage::compress::{DEFAULT_LEVEL, FRAME_BYTES, Packer, Unpacker};
use rclonepool_core::stage::erasure::kernel::Kernel;
use rclonepool_core::stage::erasure::{Erasure, STRIP_BYTES};
use rclonepool_core::stage::hash::sha256;
use rclonepool_core::stage::layout::Layout;
use rclonepool_core::stage::place::{Candidate, Placer, Strategy};
use rclonepool_core::stage::stripe::{StripeEncoder, decode_row, unit_crc};

type Criterion = criterion::Criterion<CpuTime>;

/// CPU time of this thread.
struct CpuTime;

impl CpuTime {
    fn now() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec as u32)
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now() - start
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

const CODES: [(usize, usize); 4] = [(2, 1), (3, 1), (4, 2), (10, 4)];
const UNIT_BYTES: usize = 1 << 20;
const LONGEST: NonZeroU64 = NonZeroU64::new(1 << 20).expect("it is not 0");

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn units(count: usize) -> Vec<Vec<u8>> {
    bytes(count * UNIT_BYTES).chunks(UNIT_BYTES).map(<[u8]>::to_vec).collect()
}

/// SHA-256 and CRC-32C, the other implementation for comparison.
fn sums(criterion: &mut Criterion) {
    let data = bytes(8 << 20);
    let mut group = criterion.benchmark_group("sums");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("sha256 (ring)", |bencher| bencher.iter(|| sha256(black_box(&data))));
    group.bench_function("sha256 (sha2)", |bencher| {
        bencher.iter(|| <sha2::Sha256 as sha2::Digest>::digest(black_box(&data)));
    });
    group.bench_function("crc32c", |bencher| bencher.iter(|| unit_crc(black_box(&data))));
    group.bench_function("boundaries (fastcdc)", |bencher| {
        bencher.iter(|| {
            let (mut cutter, mut rest) = (Cutter::new(LONGEST), black_box(data.as_slice()));
            while let Some(end) = cutter.push(rest) {
                rest = &rest[end..];
            }
        });
    });
    group.finish();
}

/// Our own sources, as text to compress: at most a frame.
fn text() -> Vec<u8> {
    let mut text = Vec::new();
    let mut directories = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory of sources") {
            let path = entry.expect("an entry of it").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                text.extend(std::fs::read(path).expect("a source"));
            }
        }
    }
    text.truncate(FRAME_BYTES);
    text
}

/// Compressing a frame and back, of text and of bytes that get no smaller.
fn compression(criterion: &mut Criterion) {
    let random: Vec<u8> = (0..FRAME_BYTES as u32 / 32).flat_map(|n| sha256(&n.to_le_bytes()).0).collect();
    for (what, plain) in [("text", text()), ("random bytes", random)] {
        let mut group = criterion.benchmark_group(format!("compression of {what}"));
        group.throughput(Throughput::Bytes(plain.len() as u64));
        let mut packer = Packer::new(DEFAULT_LEVEL).expect("memory for zstd");
        let mut packed = Vec::new();
        group.bench_function("pack", |bencher| {
            bencher.iter(|| {
                packed.clear();
                packer.pack(black_box(&plain), &mut packed)
            });
        });
        let frame = packer.frames()[0];
        let mut back = Vec::new();
        group.bench_function("unpack", |bencher| {
            bencher.iter(|| {
                let mut unpacker = Unpacker::new(vec![frame])?;
                unpacker.push(black_box(&packed));
                unpacker.next_frame(&mut back)
            });
        });
        group.finish();
    }
}

/// Encoding 1 MiB units in strips of various sizes; the last size is the whole unit.
fn strips(criterion: &mut Criterion) {
    for (data, parity) in CODES {
        let mut group = criterion.benchmark_group(format!("strips {data}+{parity}"));
        group.throughput(Throughput::Bytes((data * UNIT_BYTES) as u64));
        let (units, code) = (units(data), Erasure::new(data, parity).expect("a valid code"));
        let mut out = vec![vec![0; UNIT_BYTES]; parity];
        for strip in [1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 32 << 10, 128 << 10, UNIT_BYTES] {
            group.bench_function(BenchmarkId::from_parameter(strip), |bencher| {
                bencher.iter(|| code.encode_with(Kernel::best(), strip, black_box(&units), &mut out));
            });
        }
        group.finish();
    }
}

/// Encoding, and rebuilding m data units, with every kernel, beside a library's encoder and decoder on whole units.
fn erasure(criterion: &mut Criterion) {
    for (data, parity) in CODES {
        let mut group = criterion.benchmark_group(format!("erasure {data}+{parity}"));
        group.throughput(Throughput::Bytes((data * UNIT_BYTES) as u64));
        let code = Erasure::new(data, parity).expect("a valid code");
        let library = reed_solomon_erasure::galois_8::ReedSolomon::new(data, parity).expect("a valid code");
        let mut all = units(data);
        all.resize(data + parity, vec![0; UNIT_BYTES]);
        let (plain, out) = all.split_at_mut(data);
        for kernel in Kernel::available() {
            group.bench_function(format!("encode ({kernel})"), |bencher| {
                bencher.iter(|| code.encode_with(kernel, STRIP_BYTES, black_box(&*plain), out));
            });
        }
        group
            .bench_function("encode (library)", |bencher| bencher.iter(|| library.encode_sep(black_box(&*plain), out)));
        let left: Vec<Option<&[u8]>> =
            all.iter().enumerate().map(|(index, unit)| (index >= parity).then_some(unit.as_slice())).collect();
        let mut wanted: Vec<(usize, Vec<u8>)> = (0..parity).map(|index| (index, vec![0; UNIT_BYTES])).collect();
        for kernel in Kernel::available() {
            group.bench_function(format!("reconstruct ({kernel})"), |bencher| {
                bencher.iter(|| code.reconstruct_with(kernel, black_box(&left), &mut wanted));
            });
        }
        let mut slots: Vec<(Vec<u8>, bool)> = all.iter().map(|unit| (unit.clone(), true)).collect();
        group.bench_function("reconstruct (library)", |bencher| {
            bencher.iter(|| {
                slots[..parity].iter_mut().for_each(|slot| slot.1 = false);
                library.reconstruct_data(black_box(&mut slots))
            });
        });
        group.finish();
    }
}

/// Rows of 1 MiB units as the drivers see them: parity and checksums, and back with m units missing.
fn rows(criterion: &mut Criterion) {
    for (data, parity) in CODES {
        let layout = Layout { data: data as u8, parity: parity as u8, copies: 1, unit: UNIT_BYTES as u32 };
        let row = bytes(data * UNIT_BYTES);
        let mut group = criterion.benchmark_group(format!("row {data}+{parity}"));
        group.throughput(Throughput::Bytes(row.len() as u64));
        let mut encoder = StripeEncoder::new(layout).expect("a valid layout");
        group.bench_function("encode", |bencher| {
            bencher.iter(|| encoder.row(black_box(&row)).map(|units| units.map(|(_, unit)| unit.len()).sum::<usize>()));
        });
        let mut whole = vec![None; layout.shards()];
        encoder.row(&row).expect("a whole row").for_each(|(index, unit)| whole[index] = Some(unit.to_vec()));
        group.bench_function("decode", |bencher| {
            bencher.iter(|| {
                whole[..parity].fill(None);
                decode_row(&layout, row.len() as u64, 0, black_box(&mut whole))
            });
        });
        group.finish();
    }
}

/// One placement of 10 + 4 shards in pools of various sizes; of 2 + 1 in 2 copies where they overlap.
fn placement(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("place");
    let pool = |count: usize| -> Vec<Candidate> { (0..count).map(|nth| Candidate::new(format!("r{nth}"))).collect() };
    let layout = Layout { data: 10, parity: 4, copies: 1, unit: UNIT_BYTES as u32 };
    for strategy in [Strategy::LeastUsed, Strategy::Weighted] {
        for count in [5, 20, 1_000] {
            let (candidates, mut placer) = (pool(count), Placer::new(strategy, 1));
            group.bench_function(format!("{strategy:?} 10+4 on {count}"), |bencher| {
                bencher.iter(|| placer.place(black_box(&candidates), &layout, 100 << 20));
            });
        }
    }
    for (data, parity, copies, count) in [(2, 1, 2, 4), (10, 4, 3, 13), (20, 10, 3, 20)] {
        let layout = Layout { data, parity, copies, unit: UNIT_BYTES as u32 };
        let (candidates, mut placer) = (pool(count), Placer::new(Strategy::LeastUsed, 1));
        group.bench_function(format!("{data}+{parity} x {copies} on {count}"), |bencher| {
            bencher.iter(|| placer.place(black_box(&candidates), &layout, 100 << 20));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion::Criterion::default()
        .with_measurement(CpuTime)
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = sums, compression, strips, erasure, rows, placement
}
criterion_main!(benches);
