//! What was acknowledged, and what follows from it for everyone who looks later.

use std::collections::BTreeMap;

use super::Witness;
use crate::error::Result;
use crate::id::{Stamp, WriterId};
use crate::index::Index;
use crate::journal::record::{Content, Entry, Record};
use crate::path::PoolPath;

/// An operation that changes the pool, as its user sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    /// Files of these modification times stored at these paths.
    Put(Vec<(PoolPath, i64)>),
    /// A directory made.
    Mkdir(PoolPath),
    /// A path deleted, and all below it.
    Delete(PoolPath),
    /// A path moved, and all below it.
    Rename(PoolPath, PoolPath),
    /// A path copied, and all below it.
    Copy(PoolPath, PoolPath),
    /// A path brought back from the trash, or all below it.
    Restore(PoolPath),
}

/// How an operation ended for its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Acknowledged on a view: everyone's view shows it from now on.
    Full,
    /// Acknowledged as stale: others may not see it yet, and it may meet what it did not see.
    Stale,
}

/// An acknowledged operation and what it put into the journal.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Its line in the history.
    pub name: String,
    /// Which index of which machine it went through.
    pub index: (usize, u32),
    /// How it ended.
    pub ended: Ended,
    /// The history's step at which it began.
    pub began: u64,
    /// The history's step at which it was acknowledged.
    pub done: u64,
    /// The versions it made, or relies on because they were there already.
    pub versions: BTreeMap<PoolPath, Stamp>,
    /// How far it kills the versions of paths.
    pub kills: BTreeMap<PoolPath, Stamp>,
    /// The stamps of its records: from the least to the greatest; `None` when it made none.
    pub stamps: Option<(Stamp, Stamp)>,
}

/// Under what circumstances an operation ran.
#[derive(Debug, Clone)]
pub struct Running {
    /// Its line in the history.
    pub name: String,
    /// Which index of which machine it went through.
    pub index: (usize, u32),
    /// Who made its stamps.
    pub writer: WriterId,
    /// The history's step at which it began.
    pub began: u64,
    /// Whether a listing may have hidden the newest objects: views then prove nothing.
    pub blurred: bool,
}

impl Operation {
    /// Whether a record is one that this operation makes.
    fn makes(&self, record: &Record) -> bool {
        let at = |path: &PoolPath, top: &PoolPath| path == top || path.below(top).is_some();
        match (self, record) {
            // A revision of a version is no new one.
            (_, Record::Entry(e)) if e.rev > 0 => false,
            (Self::Restore(top), Record::Entry(e)) => at(&e.path, top),
            (Self::Put(files), Record::Entry(e)) => files.contains(&(e.path.clone(), e.mtime_ns)),
            (Self::Mkdir(path), Record::Entry(e)) => e.path == *path && e.content == Content::Directory {},
            (Self::Delete(path), Record::Deleted(d)) => at(&d.path, path),
            (Self::Rename(from, _), Record::Deleted(d)) => at(&d.path, from),
            (Self::Rename(_, to) | Self::Copy(_, to), Record::Entry(e)) => at(&e.path, to),
            _ => false,
        }
    }
}

impl Witness {
    /// Takes down that an operation was acknowledged, and holds that against what was acknowledged before
    /// it began.
    ///
    /// # Errors
    /// Those of the index.
    pub fn acknowledge(&self, operation: &Operation, ended: Ended, running: &Running, index: &Index) -> Result<()> {
        let done = self.step();
        let mut made = Acknowledged {
            name: running.name.clone(),
            index: running.index,
            ended,
            began: running.began,
            done,
            versions: BTreeMap::new(),
            kills: BTreeMap::new(),
            stamps: None,
        };
        self.collect(operation, running.writer, &mut made);
        if let Operation::Put(files) = operation {
            for (path, mtime_ns) in files {
                if made.versions.contains_key(path) {
                    continue;
                }
                // Not stored again because it was there already: then it must be there.
                match index.entry(path)? {
                    Some(entry) if entry.mtime_ns == *mtime_ns => drop(made.versions.insert(path.clone(), entry.stamp)),
                    other => {
                        // Another upload through this index may have come in between.
                        let seen = index.versions(path)?.iter().any(|version| version.mtime_ns == *mtime_ns);
                        if !seen {
                            let what = format!("{}: acknowledged, and {path} is {other:?}", made.name);
                            self.broken("1 (acknowledged files stay)", what);
                        }
                    }
                }
            }
        } else if made.stamps.is_none() && !matches!(operation, Operation::Mkdir(_)) {
            self.broken("1 (acknowledged changes stay)", format!("{}: acknowledged without a commit", made.name));
        }
        if ended == Ended::Full && !running.blurred {
            self.check_order(&made);
        }
        self.lock().acknowledged.push(made);
        Ok(())
    }

    fn collect(&self, operation: &Operation, writer: WriterId, made: &mut Acknowledged) {
        let state = self.lock();
        let mine = state.commits.iter().filter(|(name, seen)| {
            name.stamp.writer == writer && seen.first > made.began && seen.commit.supersedes.is_empty()
        });
        for record in mine.flat_map(|(_, seen)| &seen.commit.records).filter(|r| operation.makes(r)) {
            let stamp = record.stamp();
            let (least, greatest) = made.stamps.unwrap_or((stamp, stamp));
            made.stamps = Some((least.min(stamp), greatest.max(stamp)));
            // Of several tries the last one counts.
            let (of, to) = match record {
                Record::Entry(e) => ((e.path.clone(), e.stamp), &mut made.versions),
                Record::Deleted(d) => ((d.path.clone(), d.of), &mut made.kills),
                _ => continue,
            };
            let best = to.entry(of.0).or_insert(of.1);
            *best = (*best).max(of.1);
        }
    }

    /// What was acknowledged before another operation began comes before it in the journal, too.
    fn check_order(&self, later: &Acknowledged) {
        let mut broken = Vec::new();
        for earlier in self.lock().acknowledged.iter().filter(|a| a.ended == Ended::Full && a.done < later.began) {
            if let (Some((_, last)), Some((first, _))) = (earlier.stamps, later.stamps)
                && first <= last
            {
                broken.push(format!("{}: its stamp {first} is not above {last} of {}", later.name, earlier.name));
            }
            for (path, stamp) in &later.versions {
                if earlier.versions.get(path).is_some_and(|before| before > stamp) {
                    broken.push(format!("{}: relies on an older {path} than {} stored", later.name, earlier.name));
                }
            }
        }
        for what in broken {
            self.broken("7 (two writers lose nothing)", what);
        }
    }

    /// Holds what a machine shows at all paths against what was acknowledged before the step `before`.
    /// `all` says that its view was complete; else only what went through its own index must show.
    ///
    /// # Errors
    /// Those of `entry`.
    pub fn check_shown(
        &self,
        who: &str,
        before: u64,
        all: bool,
        own: Option<(usize, u32)>,
        entry: impl Fn(&PoolPath) -> Result<Option<Entry>>,
    ) -> Result<()> {
        let mut wanted = BTreeMap::<PoolPath, (Option<Stamp>, Option<Stamp>, String)>::new();
        for done in self.lock().acknowledged.iter().filter(|a| a.ended == Ended::Full && a.done <= before) {
            if !all && Some(done.index) != own {
                continue;
            }
            for (path, stamp) in &done.versions {
                let (version, _, name) = wanted.entry(path.clone()).or_default();
                if Some(*stamp) > *version {
                    (*version, *name) = (Some(*stamp), done.name.clone());
                }
            }
            for (path, of) in &done.kills {
                let (_, kill, _) = wanted.entry(path.clone()).or_default();
                *kill = (*kill).max(Some(*of));
            }
        }
        for (path, (version, kill, name)) in wanted {
            match entry(&path)? {
                Some(shown) if Some(shown.stamp) < version => self.broken(
                    "1 (acknowledged files stay)",
                    format!("{who} shows {path} of {} and not {} of {name}", shown.stamp, text(version)),
                ),
                Some(shown) if Some(shown.stamp) <= kill => {
                    let what = format!("{who} shows {path} of {}, deleted up to {}", shown.stamp, text(kill));
                    self.broken("5 (nothing is resurrected)", what);
                }
                None if version > self.killed_up_to(&path) => {
                    self.broken("1 (acknowledged files stay)", format!("{who} shows no {path}, stored by {name}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether the version a path shows was acknowledged.
    pub fn is_acknowledged(&self, path: &PoolPath, stamp: Stamp) -> bool {
        let state = self.lock();
        state.acknowledged.iter().any(|a| a.ended == Ended::Full && a.versions.get(path) == Some(&stamp))
    }

    /// (acknowledged, of these stale).
    pub fn counts(&self) -> (usize, usize) {
        let state = self.lock();
        let stale = state.acknowledged.iter().filter(|a| a.ended == Ended::Stale).count();
        (state.acknowledged.len(), stale)
    }
}

fn text(stamp: Option<Stamp>) -> String {
    stamp.map_or_else(|| "nothing".into(), |s| s.to_string())
}
