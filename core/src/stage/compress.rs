//! Plain bytes to independent zstd frames and back, so that a range read decompresses only what it touches.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::error::{Error, ErrorKind, Result};
use crate::stage::chunk::Span;
use crate::stage::transform::Transforms;

/// Plain bytes of a frame that is written; the last of a chunk is shorter: 1 MiB. Frames of 128 KiB make source text
/// 20 % larger and those of 4 MiB 6 % smaller; a range read fetches whole units of up to 1 MiB anyway, and a frame
/// takes less than a millisecond to read.
pub const FRAME_BYTES: usize = 1 << 20;
/// The most bytes of a frame that is read, plain and stored: 4 MiB.
pub const FRAME_BYTES_MAX: u32 = 4 << 20;

/// The levels of compression.
pub const LEVELS: std::ops::RangeInclusive<u8> = 1..=22;
/// The level where none is asked for.
pub const DEFAULT_LEVEL: u8 = 3;

/// Places that are looked at, and how much there.
const SAMPLES: u64 = 8;
const SAMPLE_BYTES: u64 = 4 << 10;
/// For samples, and for frames whose sample does not get smaller.
const FAST_LEVEL: i32 = 1;
/// What begins a frame (RFC 8878).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How the stored stream of a chunk is compressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// It is these zstd frames, one after another.
    Zstd {
        /// Their sizes, in order.
        frames: Vec<Frame>,
    },
    /// It is not: it is these pieces, one after another, each changed by transforms.
    Pieces {
        /// Their sizes, in order.
        frames: Vec<Frame>,
    },
}

/// What turns a frame's plain bytes into those of the stored stream, and back.
#[derive(Debug, Clone, Default)]
pub struct Codec {
    /// Whether they are compressed first.
    pub is_zstd: bool,
    /// What is done to them then.
    pub transforms: Transforms,
}

/// The sizes of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Bytes it decompresses to.
    pub plain: u32,
    /// Bytes it has in the stored stream.
    pub stored: u32,
}

/// The frames that hold a range of a chunk's plain bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The frames.
    pub frames: Vec<Frame>,
    /// Where they lie in the stored stream.
    pub stored: Range<u64>,
    /// Where the first begins in the plain bytes.
    pub plain_start: u64,
}

impl Compression {
    /// The frames, in order.
    pub fn frames(&self) -> &[Frame] {
        let (Self::Zstd { frames } | Self::Pieces { frames }) = self;
        frames
    }

    /// Holds sizes that came from elsewhere against those of the chunk.
    ///
    /// # Errors
    /// `Corrupt`, saying what is impossible.
    pub fn validate(&self, size: u64, stored: u64) -> Result<()> {
        let bad = |why: String| Err(Error::new(ErrorKind::Corrupt, format!("impossible compression: {why}")));
        let possible = |bytes: u32| (1..=FRAME_BYTES_MAX).contains(&bytes);
        let odd = self.frames().iter().find(|frame| !possible(frame.plain) || !possible(frame.stored));
        if let Some(Frame { plain, stored }) = odd {
            return bad(format!("a frame of {plain} bytes stored as {stored}, {FRAME_BYTES_MAX} are the most"));
        }
        let sum = |of: fn(&Frame) -> u32| self.frames().iter().map(|frame| u64::from(of(frame))).sum::<u64>();
        let sums = (sum(|frame| frame.plain), sum(|frame| frame.stored));
        if sums != (size, stored) {
            return bad(format!(
                "frames of {} bytes stored as {} in a chunk of {size} stored as {stored}",
                sums.0, sums.1
            ));
        }
        Ok(())
    }

    /// The frames that hold `range`.
    pub fn touching(&self, range: &Range<u64>) -> Touched {
        let mut touched = Touched { frames: Vec::new(), stored: 0..0, plain_start: 0 };
        let (mut plain, mut stored) = (0, 0);
        for frame in self.frames() {
            let (from, stored_from) = (plain, stored);
            plain += u64::from(frame.plain);
            stored += u64::from(frame.stored);
            if range.is_empty() || plain <= range.start || from >= range.end {
                continue;
            }
            if touched.frames.is_empty() {
                (touched.plain_start, touched.stored.start) = (from, stored_from);
            }
            touched.stored.end = stored;
            touched.frames.push(*frame);
        }
        touched
    }
}

/// Where to look at `size` bytes to tell whether they get smaller: all of them, if they are few.
pub fn sample_spans(size: u64) -> Vec<Span> {
    if size <= SAMPLES * SAMPLE_BYTES {
        return (size > 0).then_some(Span { offset: 0, length: size }).into_iter().collect();
    }
    // From the first bytes to the last.
    let step = (size - SAMPLE_BYTES) / (SAMPLES - 1);
    (0..SAMPLES).map(|n| Span { offset: n * step, length: SAMPLE_BYTES }).collect()
}

/// Whether bytes like these are worth compressing.
///
/// # Errors
/// `Internal` when zstd has no memory.
pub fn pays(sample: &[u8]) -> Result<bool> {
    let stored = zstd::bulk::compress(sample, FAST_LEVEL).map_err(no_memory)?.len();
    Ok(gains(sample.len() as u64, stored as u64))
}

/// Whether `stored` bytes are enough fewer than `plain` ones, by a 32nd, to be worth decompressing.
pub fn gains(plain: u64, stored: u64) -> bool {
    stored < plain - plain / 32
}

fn no_memory(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("zstd: {error}"))
}

/// Compresses the bytes of one chunk, frame by frame.
pub struct Packer {
    /// `None`: frames are not compressed.
    zstd: Option<Contexts>,
    transforms: Transforms,
    frames: Vec<Frame>,
}

struct Contexts {
    chosen: Compressor<'static>,
    fast: Compressor<'static>,
    buffer: Vec<u8>,
}

impl Contexts {
    fn new(level: u8) -> Result<Self> {
        Ok(Self {
            chosen: Compressor::new(level.into()).map_err(no_memory)?,
            fast: Compressor::new(FAST_LEVEL).map_err(no_memory)?,
            buffer: Vec::with_capacity(zstd_safe::compress_bound(FRAME_BYTES)),
        })
    }

    /// The frame, in the buffer.
    fn pack(&mut self, plain: &[u8]) -> Result<&[u8]> {
        // High levels take long over what does not get smaller.
        let context = if self.is_compressible(plain)? { &mut self.chosen } else { &mut self.fast };
        self.buffer.clear();
        context.compress_to_buffer(plain, &mut self.buffer).map_err(no_memory)?;
        Ok(&self.buffer)
    }

    fn is_compressible(&mut self, plain: &[u8]) -> Result<bool> {
        let mut sample = Vec::new();
        for Span { offset, length } in sample_spans(plain.len() as u64) {
            sample.extend_from_slice(&plain[offset as usize..(offset + length) as usize]);
        }
        self.buffer.clear();
        self.fast.compress_to_buffer(&sample, &mut self.buffer).map_err(no_memory)?;
        Ok(gains(sample.len() as u64, self.buffer.len() as u64))
    }
}

impl Packer {
    /// Starts a chunk; `level` is one of [`LEVELS`].
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn new(level: u8) -> Result<Self> {
        Self::of(Some(level), Transforms::default())
    }

    /// Starts a chunk whose frames are compressed, where there is a `level`, and then changed.
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn of(level: Option<u8>, transforms: Transforms) -> Result<Self> {
        Ok(Self { zstd: level.map(Contexts::new).transpose()?, transforms, frames: Vec::new() })
    }

    /// The bytes a packer takes, beside the frames it was given and made.
    pub fn memory(level: u8) -> u64 {
        // Measured; the chosen level's tables are all of it.
        let contexts = match level {
            0..=4 => 4,
            5..=12 => 12,
            _ => 32,
        };
        (contexts << 20) + zstd_safe::compress_bound(FRAME_BYTES) as u64
    }

    /// Compresses the next 1 to [`FRAME_BYTES`] bytes; the frame goes to the end of `out`.
    ///
    /// # Errors
    /// `InvalidArgument` for no bytes or too many, `Internal` when zstd has no memory.
    pub fn pack(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if plain.is_empty() || plain.len() > FRAME_BYTES {
            return Err(Error::new(ErrorKind::InvalidArgument, format!("a frame of {} bytes", plain.len())));
        }
        let packed = match &mut self.zstd {
            Some(contexts) => contexts.pack(plain)?,
            None => plain,
        };
        let changed;
        let stored = if self.transforms.is_empty() {
            packed
        } else {
            changed = self.transforms.apply(packed)?;
            &changed
        };
        if stored.len() > FRAME_BYTES_MAX as usize {
            let (bytes, length) = (plain.len(), stored.len());
            let why = format!("plugins made {length} bytes of {bytes}; {FRAME_BYTES_MAX} are the most");
            return Err(Error::new(ErrorKind::InvalidArgument, why));
        }
        out.extend_from_slice(stored);
        // Both are at most 4 MiB.
        self.frames.push(Frame { plain: plain.len() as u32, stored: stored.len() as u32 });
        Ok(())
    }

    /// The frames made so far.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// What the chunk's record says of it.
    pub fn finish(self) -> Compression {
        match self.zstd {
            Some(_) => Compression::Zstd { frames: self.frames },
            None => Compression::Pieces { frames: self.frames },
        }
    }

    /// What is done to its frames after compression.
    pub fn transforms(&self) -> &Transforms {
        &self.transforms
    }
}

/// Decompresses frames from a stored stream that comes in any pieces.
pub struct Unpacker {
    /// `None`: frames are not compressed.
    context: Option<Decompressor<'static>>,
    transforms: Transforms,
    frames: std::vec::IntoIter<Frame>,
    /// Given and not decompressed yet, from `at` on.
    pending: Vec<u8>,
    at: usize,
}

impl Unpacker {
    /// Starts before the first of these frames, which are valid ([`Compression::validate`]).
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn new(frames: Vec<Frame>) -> Result<Self> {
        Self::of(frames, Codec { is_zstd: true, transforms: Transforms::default() })
    }

    /// Starts before the first of these frames, which are valid and were made by this codec.
    ///
    /// # Errors
    /// `Internal` when zstd has no memory.
    pub fn of(frames: Vec<Frame>, codec: Codec) -> Result<Self> {
        let context = codec.is_zstd.then(Decompressor::new).transpose().map_err(no_memory)?;
        let transforms = codec.transforms;
        Ok(Self { context, transforms, frames: frames.into_iter(), pending: Vec::new(), at: 0 })
    }

    /// Whether all of the next frame was pushed.
    pub fn is_ready(&self) -> bool {
        let next = self.frames.as_slice().first();
        next.is_some_and(|frame| self.pending.len() - self.at >= frame.stored as usize)
    }

    /// Takes the next bytes of the stored stream.
    pub fn push(&mut self, stored: &[u8]) {
        self.pending.drain(..self.at);
        self.at = 0;
        self.pending.extend_from_slice(stored);
    }

    /// Puts the plain bytes of the next frame into `plain`, and nothing else; `false` until all of it was pushed.
    ///
    /// # Errors
    /// `Corrupt` for bytes that are not one zstd frame of the size it should have.
    pub fn next_frame(&mut self, plain: &mut Vec<u8>) -> Result<bool> {
        let Some(frame) = self.frames.as_slice().first().copied() else { return Ok(false) };
        let end = self.at + frame.stored as usize;
        let Some(stored) = self.pending.get(self.at..end) else { return Ok(false) };
        let size = frame.plain as usize;
        let undone;
        let packed = if self.transforms.is_empty() {
            stored
        } else {
            undone = self.transforms.undo(stored)?;
            &undone
        };
        match &mut self.context {
            Some(context) => unpack(context, packed, size, plain)?,
            None if packed.len() == size => {
                plain.clear();
                plain.extend_from_slice(packed);
            }
            None => {
                let ids: Vec<String> = self.transforms.applied().into_iter().map(|one| one.plugin).collect();
                let (by, length) = (ids.join(", "), packed.len());
                let why = format!("a piece undone by {by} has {length} bytes instead of {size}");
                return Err(Error::new(ErrorKind::Corrupt, why));
            }
        }
        self.frames.next();
        self.at = end;
        Ok(true)
    }
}

/// Decompresses exactly one frame, to exactly `size` bytes: no more are ever allocated for it.
fn unpack(context: &mut Decompressor<'_>, stored: &[u8], size: usize, plain: &mut Vec<u8>) -> Result<()> {
    let corrupt = |why: String| Err(Error::new(ErrorKind::Corrupt, format!("a compressed frame is damaged: {why}")));
    // Several frames, or one that is skipped, would go through below.
    if !stored.starts_with(&MAGIC) || zstd_safe::find_frame_compressed_size(stored) != Ok(stored.len()) {
        return corrupt(format!("{} bytes that are not one zstd frame", stored.len()));
    }
    plain.clear();
    plain.reserve_exact(size);
    match context.decompress_to_buffer(stored, plain) {
        Ok(length) if length == size => Ok(()),
        Ok(length) => corrupt(format!("it holds {length} bytes instead of {size}")),
        Err(error) => corrupt(error.to_string()),
    }
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Packer after {} frames", self.frames.len())
    }
}

impl std::fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unpacker before {} frames", self.frames.len())
    }
}

#[cfg(test)]
mod tests;
