//! Remotes whose listings are not believed: too much looks absent to be an accident of single objects.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::RemoteId;
use crate::index::{Damage, Index};
use crate::journal::record::RemoteRecord;
use crate::pool::Pool;

/// Fewer than this many absent shards never make a remote suspect.
const ABSENT_MIN: u64 = 16;

/// Why a remote is suspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// Shard objects that look absent.
    pub absent: u64,
    /// Shard objects that should be there.
    pub of: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Note {
    Suspect(Suspect),
    /// The user said that what is absent is lost.
    Accepted,
    Trusted,
}

/// Whether so much is absent that it is more likely the listing, or the place, that is wrong.
pub(super) fn is_suspect(absent: u64, of: u64) -> bool {
    absent >= ABSENT_MIN && u128::from(absent) * 100 > u128::from(of)
}

/// The suspects among these remotes.
pub(super) fn all(index: &Index, records: &[RemoteRecord]) -> Result<BTreeMap<RemoteId, Suspect>> {
    let mut suspects = BTreeMap::new();
    for record in records {
        if let Some(Note::Suspect(suspect)) = note(index, record.remote)? {
            suspects.insert(record.remote, suspect);
        }
    }
    Ok(suspects)
}

/// What somebody saw of a remote.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Shard objects that look absent.
    pub absent: u64,
    /// Shard objects that should be there.
    pub of: u64,
    /// Whether all of them were looked for: only then can the remote be found whole.
    pub whole: bool,
}

/// Notes what was seen of a remote; gives back whether it is suspect now. What the user accepted stays so until
/// the remote is found whole, and so does what a closer look found before.
pub(super) fn judge(index: &Index, remote: RemoteId, look: Look) -> Result<Option<Suspect>> {
    let before = note(index, remote)?;
    if !is_suspect(look.absent, look.of) {
        return Ok(match before {
            Some(Note::Suspect(suspect)) if !look.whole => Some(suspect),
            Some(Note::Suspect(_) | Note::Accepted) if look.whole => {
                keep(index, remote, &Note::Trusted)?;
                None
            }
            _ => None,
        });
    }
    if matches!(before, Some(Note::Accepted)) {
        return Ok(None);
    }
    let suspect = Suspect { absent: look.absent, of: look.of };
    keep(index, remote, &Note::Suspect(suspect))?;
    Ok(Some(suspect))
}

fn key(remote: RemoteId) -> String {
    format!("suspect:{remote}")
}

fn note(index: &Index, remote: RemoteId) -> Result<Option<Note>> {
    // What an older version wrote is found out anew.
    Ok(index.meta(&key(remote))?.and_then(|text| serde_json::from_str(&text).ok()))
}

fn keep(index: &Index, remote: RemoteId, note: &Note) -> Result<()> {
    index.set_meta(&key(remote), &serde_json::to_string(note).unwrap_or_default())
}

impl Pool {
    /// Remotes of which the last verification, rebuild or garbage collection found more than 1 % of the shards
    /// (and at least 16) absent. What is absent there must not be taken for lost: rebuilding and deleting wait for
    /// the user's word.
    ///
    /// # Errors
    /// Those of the index.
    pub fn suspects(&self) -> Result<BTreeMap<RemoteId, Suspect>> {
        all(&self.index, &self.index.remotes()?)
    }

    /// The labels of remotes on which so much is noted as missing, by reads and the like, that a rebuild leaves it
    /// alone until the user accepts the loss.
    ///
    /// # Errors
    /// Those of the index.
    pub fn would_be_suspect(&self) -> Result<Vec<String>> {
        let mut absent: BTreeMap<RemoteId, u64> = BTreeMap::new();
        for finding in self.damage()?.iter().filter(|finding| finding.damage == Damage::Missing) {
            *absent.entry(finding.place.remote).or_default() += 1;
        }
        let mut suspects = Vec::new();
        for (remote, used) in self.index.remote_use()? {
            let absent = absent.get(&remote).copied().unwrap_or(0);
            let much = match note(&self.index, remote)? {
                Some(Note::Accepted) => false,
                Some(Note::Suspect(_)) => true,
                _ => is_suspect(absent, used.objects),
            };
            if much {
                suspects.push(self.remote_label(remote));
            }
        }
        Ok(suspects)
    }

    /// The user's word: what looks absent on this remote is lost. It holds for everything until the remote is found
    /// whole.
    ///
    /// # Errors
    /// Those of the index.
    pub fn accept_loss(&self, remote: RemoteId) -> Result<()> {
        keep(&self.index, remote, &Note::Accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_hundredth_and_at_least_sixteen() {
        assert!(!is_suspect(15, 15) && is_suspect(16, 16));
        assert!(!is_suspect(16, 1600) && is_suspect(17, 1600));
        assert!(!is_suspect(0, 0));
    }

    #[test]
    fn what_was_accepted_stays_so_until_the_remote_is_whole() {
        let (index, remote) = (Index::in_memory().unwrap(), RemoteId(1));
        let look = |absent, whole| judge(&index, remote, Look { absent, of: 20, whole }).unwrap();
        assert!(look(20, true).is_some());
        keep(&index, remote, &Note::Accepted).unwrap();
        assert_eq!(look(20, true), None);
        assert_eq!(look(0, false), None);
        assert_eq!(look(20, true), None);
        assert_eq!(look(0, true), None);
        assert!(look(20, true).is_some());
        assert!(look(1, false).is_some(), "who looked at a part cannot say that it is whole");
        assert_eq!(look(1, true), None);
    }
}
