//! Which files are looked at, and the way through their chunks.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::error::Result;
use crate::id::ChunkId;
use crate::index::{Index, Surveyed, VersionId};
use crate::path::PoolPath;

/// How many chunks are read from the index at a time.
pub(in crate::pool::care) const PAGE: usize = 1024;

/// The files looked at, and the chunks to look at for them.
#[derive(Debug, Clone)]
pub(in crate::pool::care) struct Scope {
    /// The files at and below it.
    pub path: PoolPath,
    /// The versions they show.
    pub versions: BTreeMap<VersionId, u64>,
    /// Chunks that only versions in the trash need, where these are looked at, too.
    pub trash: HashSet<ChunkId>,
    /// Their chunks, where they are few; else all chunks are gone through.
    pub chunks: Option<Vec<ChunkId>>,
}

/// Where a walk over a scope stands.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::pool::care) struct Cursor {
    after: Option<ChunkId>,
    at: usize,
    ended: bool,
}

impl Scope {
    /// The files at and below `path`.
    pub fn new(index: &Index, path: &PoolPath) -> Result<Self> {
        let chunks = match index.entry(path)? {
            Some(entry) if !index.has_children(path)? => {
                let chunks: BTreeSet<ChunkId> = entry.content.extents().iter().map(|e| e.chunk).collect();
                Some(chunks.into_iter().collect())
            }
            _ => None,
        };
        Ok(Self { path: path.clone(), versions: index.live_versions(path)?, trash: HashSet::new(), chunks })
    }

    /// Whether one of these versions is in it, or the chunk is looked at for the trash.
    pub fn touches(&self, chunk: &Surveyed) -> bool {
        chunk.versions.iter().any(|version| self.versions.contains_key(version)) || self.trash.contains(&chunk.chunk)
    }

    /// The next chunks; `None` at the end.
    pub fn page(&self, index: &Index, cursor: &mut Cursor) -> Result<Option<Vec<Surveyed>>> {
        if cursor.ended {
            return Ok(None);
        }
        let mut page = match &self.chunks {
            Some(chunks) => {
                let rest = chunks.get(cursor.at..).unwrap_or_default();
                let part = &rest[..rest.len().min(PAGE)];
                cursor.at += part.len();
                cursor.ended = part.len() == rest.len();
                index.survey_of(part)?
            }
            None => {
                let page = index.survey(cursor.after, PAGE)?;
                cursor.after = page.last().map(|surveyed| surveyed.chunk);
                cursor.ended = page.len() < PAGE;
                page
            }
        };
        page.retain(|surveyed| self.touches(surveyed));
        Ok(Some(page))
    }

    /// Calls `each` for every chunk.
    pub fn walk(&self, index: &Index, mut each: impl FnMut(Surveyed) -> Result<()>) -> Result<()> {
        let mut cursor = Cursor::default();
        while let Some(page) = self.page(index, &mut cursor)? {
            page.into_iter().try_for_each(&mut each)?;
        }
        Ok(())
    }
}
