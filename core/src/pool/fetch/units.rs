//! The units of one shard object, each held against its checksum.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::UNITS_AHEAD;
use super::speed::Speeds;
use crate::buffer::Buffer;
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::journal::record::ChunkRecord;
use crate::remote::SharedRemote;
use crate::stage::stripe::{unit_crc, unit_crc_of};

/// Length in bytes and checksum of a shard's units in these rows.
pub(in crate::pool) fn unit_checks(chunk: &ChunkRecord, index: usize, rows: Range<u64>) -> Vec<(usize, u32)> {
    let crcs = chunk.units.get(index).map(|u| u.0.as_slice()).unwrap_or_default();
    let crc = |row| usize::try_from(row).ok().and_then(|at: usize| crcs.get(at)).copied().unwrap_or_default();
    rows.map(|row| (chunk.layout.unit_len(chunk.stored, index, row) as usize, crc(row))).collect()
}

/// Reads a whole shard object and holds every unit against its checksum.
///
/// # Errors
/// `NotFound` when it is definitely absent, `Corrupt` when it is not what its record says.
pub(in crate::pool) async fn check_shard(
    remote: &SharedRemote,
    name: &str,
    chunk: &ChunkRecord,
    index: usize,
) -> Result<()> {
    let size = chunk.layout.shard_size(chunk.stored, index);
    let checks = unit_checks(chunk, index, 0..chunk.layout.units(chunk.stored, index));
    let (sender, mut units) = mpsc::channel(UNITS_AHEAD);
    let read = async {
        let read = read_units(remote, name, 0..size, checks, &sender, None).await;
        drop(sender);
        read
    };
    let (read, ()) = futures_util::join!(read, async { while units.recv().await.is_some() {} });
    read
}

/// Reads a shard's range and passes it on unit by unit, each held against its checksum. The time it takes goes to
/// `speeds`.
pub(in crate::pool) async fn read_units(
    remote: &SharedRemote,
    name: &str,
    range: Range<u64>,
    lengths: Vec<(usize, u32)>,
    sender: &mpsc::Sender<Result<Bytes>>,
    speeds: Option<(&Speeds, RemoteId)>,
) -> Result<()> {
    let mut asked = Some(Instant::now());
    let mut stream = remote.get(name, Some(range)).await?;
    let mut rest = Bytes::new();
    for (length, crc) in lengths {
        let (mut came, mut took) = (0, Duration::ZERO);
        let mut next = async || {
            let since = Instant::now();
            let piece = stream.next().await.unwrap_or_else(|| {
                Err(Error::new(ErrorKind::Corrupt, "the shard is shorter than its record says")
                    .on_remote(remote.label()))
            })?;
            match (asked.take(), speeds) {
                (Some(asked), Some((speeds, id))) => speeds.began(id, asked.elapsed()),
                _ => (came, took) = (came + piece.len(), took + since.elapsed()),
            }
            Ok::<_, Error>(piece)
        };
        if rest.is_empty() {
            rest = next().await?;
        }
        let (unit, found) = if rest.len() >= length {
            let unit = rest.split_to(length);
            let found = unit_crc(&unit);
            (unit, found)
        } else {
            // Summed up while the bytes are still in the cache.
            let (mut unit, mut found) = (Buffer::new(), 0);
            while unit.len() < length {
                if rest.is_empty() {
                    rest = next().await?;
                }
                let piece = rest.split_to(rest.len().min(length - unit.len()));
                found = unit_crc_of(found, &piece);
                unit.extend_from_slice(&piece);
            }
            (unit.freeze(), found)
        };
        if let Some((speeds, id)) = speeds {
            speeds.moved(id, came, took);
        }
        if found != crc {
            return Err(Error::new(ErrorKind::Corrupt, "a unit does not match its checksum")
                .on_remote(remote.label())
                .at_path(name));
        }
        if sender.send(Ok(unit)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
