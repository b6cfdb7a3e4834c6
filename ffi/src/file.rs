//! A file read at any position, over readers that read in order.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rclonepool_core::journal::record::Entry;
use rclonepool_core::path::PoolPath;
use rclonepool_core::pool::FileReader;
use rclonepool_core::{Error, ErrorKind, Pool, Result};

/// A reader that goes on where a read ended.
struct Going {
    at: u64,
    reader: FileReader,
    left: Bytes,
}

/// An open file.
pub(crate) struct File {
    entry: Entry,
    going: Mutex<Option<Going>>,
}

impl File {
    pub fn open(pool: &Arc<Pool>, path: &PoolPath) -> Result<Self> {
        let reader = pool.reader(path, None)?;
        let entry = reader.entry().clone();
        Ok(Self { entry, going: Mutex::new(Some(Going { at: 0, reader, left: Bytes::new() })) })
    }

    /// Its length in bytes.
    pub fn size(&self) -> u64 {
        self.entry.content.size()
    }

    /// Reads a range that lies within the file: its bytes in order, in pieces.
    pub async fn read_at(&self, pool: &Arc<Pool>, range: Range<u64>) -> Result<Vec<Bytes>> {
        let (mut pieces, mut missing) = (Vec::new(), range.end.saturating_sub(range.start));
        let taken = self.going.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut going = match taken.filter(|going| going.at == range.start) {
            Some(going) => going,
            None => {
                let reader = pool.reader(&self.entry.path, Some(range.start..u64::MAX))?;
                let now = reader.entry();
                if (now.stamp, now.rev) != (self.entry.stamp, self.entry.rev) && now.content != self.entry.content {
                    return Err(Error::new(ErrorKind::SourceChanged, "the file was changed after it was opened")
                        .at_path(&self.entry.path)
                        .hint("open it anew"));
                }
                Going { at: range.start, reader, left: Bytes::new() }
            }
        };
        while missing > 0 {
            if going.left.is_empty() {
                match going.reader.next().await.map_err(|e| e.at_path(&self.entry.path))? {
                    Some(piece) => going.left = piece,
                    None => break,
                }
            }
            let length = going.left.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            pieces.push(going.left.split_to(length));
            missing -= length as u64;
            going.at += length as u64;
        }
        *self.going.lock().unwrap_or_else(PoisonError::into_inner) = Some(going);
        Ok(pieces)
    }
}
