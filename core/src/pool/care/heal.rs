//! Healing: a read that met a bad shard notes it, and what was noted is rebuilt.

use std::sync::PoisonError;

use crate::error::{Error, ErrorKind, Result};
use crate::id::ChunkId;
use crate::index::{Damage, Finding};
use crate::journal::record::Place;
use crate::pool::Pool;

impl Pool {
    /// Notes what a read found of a shard object; slows nothing down. Only what is definitely so counts: a
    /// remote that does not answer says nothing of the object.
    pub(in crate::pool) fn note_bad(&self, chunk: ChunkId, place: Place, error: &Error) {
        let damage = match error.kind() {
            ErrorKind::NotFound => Damage::Missing,
            ErrorKind::Corrupt => Damage::Corrupt,
            _ => return,
        };
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let finding = Finding { chunk, place, damage };
        if !noted.contains(&finding) {
            noted.push(finding);
            self.noticed.notify_one();
        }
    }

    /// Writes down what reads noted, where it still counts.
    pub(in crate::pool) fn keep_noted(&self) -> Result<()> {
        let noted = std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner));
        let mut findings = Vec::new();
        for finding in noted {
            if self.index.chunk(finding.chunk)?.is_some_and(|found| found.record.shards.contains(&finding.place)) {
                findings.push(finding);
            }
        }
        self.index.note_damage(&findings)
    }
}
