//! Listing the remotes, judging what was seen, copying what one lacks.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;

use super::commit::CommitName;
use super::marker::{Marker, MarkerName};
use super::read::{object, read_commit};
use super::record::RemoteState;
use super::{Journal, VIEW_AGE_MAX, lock};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PoolId, RemoteId};
use crate::index::KnownCommit;
use crate::remote::{Body, ObjectMeta, Remote, SharedRemote, is_unfinished, list_whole};

/// What one configured remote turned out to be.
#[derive(Debug)]
pub enum RemoteStatus {
    /// It carries this pool's marker.
    Online(RemoteId),
    /// It cannot be used now; its data is not lost.
    Offline(Error),
}

impl RemoteStatus {
    /// The remote's id, when it is online.
    pub fn id(&self) -> Option<RemoteId> {
        match self {
            Self::Online(id) => Some(*id),
            Self::Offline(_) => None,
        }
    }
}

/// What one pass over the remotes saw.
#[derive(Debug)]
pub struct View {
    /// Per configured remote, in the configuration's order.
    pub remotes: Vec<RemoteStatus>,
    /// Whether it is a view: enough members listed whole, nothing seen before missing, every commit
    /// read. Anything less serves reads and stale writes only.
    pub complete: bool,
    /// Why it is not complete, for people.
    pub lacks: Vec<String>,
    /// What else is out of order, for people: it does not make the view incomplete.
    pub notes: Vec<String>,
    /// A later version has written to the pool: nothing may be written by this one, and why.
    pub later_format: Option<String>,
    /// Boot clock when the first listing began, in milliseconds.
    pub taken_at_ms: u64,
    /// Which online member holds which commits.
    pub(crate) held: BTreeMap<RemoteId, BTreeSet<CommitName>>,
    /// What an online member held once and does not any more.
    pub(crate) gone: BTreeMap<RemoteId, BTreeSet<CommitName>>,
    /// What an online member holds by name, and not in the size the name says.
    pub(crate) cut: BTreeMap<RemoteId, BTreeSet<CommitName>>,
    /// What an online member holds by name, in the right size, and this machine has found corrupt there.
    pub(crate) spoiled: BTreeMap<RemoteId, BTreeSet<CommitName>>,
    /// What puts of commits and markers that broke off left on an online member.
    pub(crate) unfinished: BTreeMap<RemoteId, Vec<ObjectMeta>>,
    /// Commits that count and that fewer than W remotes hold, as far as this machine knows.
    pub(super) rare: BTreeSet<CommitName>,
    /// Members listed whole, nothing seen before missing.
    pub(super) listed: BTreeSet<RemoteId>,
    /// Commits that cannot be read anywhere now, and are not set aside.
    pub(super) unread: BTreeSet<CommitName>,
    /// How often this process had seen places turn out to be other remotes.
    pub(crate) epoch: u64,
}

impl View {
    /// The remotes with this pool's marker.
    pub fn online(&self) -> BTreeSet<RemoteId> {
        self.remotes.iter().filter_map(RemoteStatus::id).collect()
    }

    /// Fails when a later version has written to the pool.
    ///
    /// # Errors
    /// `FormatVersion`.
    pub fn check_format(&self) -> Result<()> {
        match &self.later_format {
            Some(why) => Err(Error::new(ErrorKind::FormatVersion, format!("nothing was changed: {why}"))),
            None => Ok(()),
        }
    }

    /// The handle of an online remote, out of the configured ones.
    pub fn handle(&self, remote: RemoteId, configured: &[SharedRemote]) -> Option<SharedRemote> {
        let at = self.remotes.iter().position(|status| status.id() == Some(remote))?;
        configured.get(at).cloned()
    }

    /// The commits an online remote holds.
    pub(crate) fn commits_of(&self, remote: RemoteId) -> BTreeSet<CommitName> {
        self.held.get(&remote).cloned().unwrap_or_default()
    }

    /// Whether it is too old to rely on; counts time the machine slept.
    pub(super) fn is_old(&self, boot_ms: u64) -> bool {
        u128::from(boot_ms.saturating_sub(self.taken_at_ms)) > VIEW_AGE_MAX.as_millis()
    }
}

/// The manifest directory of one remote, listed.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub markers: BTreeSet<MarkerName>,
    pub commits: BTreeSet<CommitName>,
    /// Names whose objects have another size than the name says.
    pub cut: BTreeSet<CommitName>,
    /// What puts of commits and markers that broke off left.
    pub unfinished: Vec<ObjectMeta>,
}

impl Listing {
    /// Lists the manifest directory of a remote: one call.
    ///
    /// # Errors
    /// Those of the remote.
    pub async fn take(remote: &dyn Remote, manifest_prefix: &str) -> Result<Self> {
        let mut listing = Self::default();
        for object in list_whole(remote, manifest_prefix).await? {
            let Some(name) = object.name.strip_prefix(manifest_prefix).and_then(|n| n.strip_prefix('/')) else {
                continue;
            };
            if is_unfinished(name, is_object) {
                listing.unfinished.push(object);
            } else if let Some(marker) = MarkerName::parse(name) {
                listing.markers.insert(marker);
            } else if let Some(Ok(commit)) = name.strip_prefix("commits/").map(str::parse::<CommitName>) {
                // A truncated object keeps its name on some backends; its size gives it away.
                if object.size == commit.size {
                    listing.commits.insert(commit);
                } else {
                    tracing::warn!(
                        "remote {}: commit {commit} has {} bytes there; ignored",
                        remote.label(),
                        object.size
                    );
                    listing.cut.insert(commit);
                }
            }
        }
        Ok(listing)
    }

    /// Which remote of `pool` this is.
    ///
    /// # Errors
    /// `Unavailable`, saying what was found instead.
    pub fn identify(&self, pool: PoolId) -> Result<RemoteId> {
        let foreign = self.markers.iter().find(|m| m.pool != pool).map(|m| m.pool);
        let mut ours = self.markers.iter().filter(|m| m.pool == pool);
        match (ours.next(), ours.next(), foreign) {
            (Some(marker), None, None) => Ok(marker.remote),
            (None, _, None) => Err(Error::new(ErrorKind::Unavailable, "offline: it has no marker of this pool").hint(
                "is the disk mounted, and does the name still lead to the same place? Nothing is taken for lost",
            )),
            (None, _, Some(other)) => {
                Err(Error::new(ErrorKind::Unavailable, format!("offline: it belongs to another pool, {other}"))
                    .hint("were two remotes swapped? Nothing is taken for lost"))
            }
            _ => Err(Error::new(ErrorKind::Unavailable, "offline: it has several markers")
                .hint("two inits ran at once, or one remote was copied onto another; remove the marker that is wrong")),
        }
    }
}

impl Journal {
    /// Lists every remote once, reads the commits this index has not seen, merges them, and begins to
    /// copy commits to members that lack them.
    ///
    /// # Errors
    /// Those of the index. Remotes that fail are offline in the view, never an error here.
    pub async fn sync(&self) -> Result<View> {
        let taken_at_ms = self.env.boot_ms();
        // What is put while the listings are on their way may be missing in them.
        let noted = self.index.held_by_all()?;
        let mut listings = self.list_all().await;
        let mut aside = Vec::new();
        for listing in &mut listings {
            aside.push(listing.as_mut().map(|l| (take(&mut l.cut), take(&mut l.unfinished))).unwrap_or_default());
        }
        let found = listings.into_iter().zip(&self.remotes);
        let found = found.map(|(listing, remote)| self.find(listing, remote)).collect::<Result<Vec<_>>>()?;
        let (remotes, mut held, epoch) = self.identities(found);
        let aside = remotes.iter().zip(aside).filter_map(|(status, (cut, unfinished))| {
            let id = status.id()?;
            Some(((id, cut), (id, unfinished)))
        });
        let (cut, unfinished) = aside.unzip();
        let mut view = View {
            remotes,
            cut,
            spoiled: self.leave_spoiled(&mut held)?,
            unfinished,
            complete: false,
            lacks: Vec::new(),
            notes: Vec::new(),
            later_format: None,
            taken_at_ms,
            held: BTreeMap::new(),
            gone: BTreeMap::new(),
            rare: BTreeSet::new(),
            listed: BTreeSet::new(),
            unread: BTreeSet::new(),
            epoch,
        };
        self.check_new_markers(&mut view, &mut held).await?;
        let unreadable = self.read_new(&mut held, &mut view).await?;
        self.judge(&mut view, &held, &noted, &unreadable)?;
        view.held = held;
        if self.rules.anti_entropy {
            self.copy_missing(&view)?;
        }
        Ok(view)
    }

    /// Reads the marker of a remote this index meets for the first time: its format may be a later one.
    async fn check_new_markers(
        &self,
        view: &mut View,
        held: &mut BTreeMap<RemoteId, BTreeSet<CommitName>>,
    ) -> Result<()> {
        for (status, remote) in view.remotes.iter_mut().zip(&self.remotes) {
            let RemoteStatus::Online(id) = *status else { continue };
            let key = format!("marker:{id}");
            if self.index.meta(&key)?.is_some() {
                continue;
            }
            let name = MarkerName { pool: self.pool, remote: id };
            match Marker::read(remote.as_ref(), &self.manifest_prefix, name).await {
                Ok(_) => self.index.set_meta(&key, "read")?,
                Err(error) if error.kind() == ErrorKind::FormatVersion => view.later_format = Some(error.to_string()),
                Err(error) => {
                    held.remove(&id);
                    *status = RemoteStatus::Offline(error);
                }
            }
        }
        Ok(())
    }

    /// Takes what is known to be corrupt out of what is held; gives it back. What is not there any more, or does
    /// not count any more, is forgotten.
    fn leave_spoiled(
        &self,
        held: &mut BTreeMap<RemoteId, BTreeSet<CommitName>>,
    ) -> Result<BTreeMap<RemoteId, BTreeSet<CommitName>>> {
        let mut spoiled = self.index.spoiled()?;
        if spoiled.is_empty() {
            return Ok(spoiled);
        }
        let known = self.index.known_commits()?;
        spoiled.retain(|id, _| held.contains_key(id));
        for (id, names) in &mut spoiled {
            let commits = held.entry(*id).or_default();
            let counts =
                |name: &CommitName| commits.contains(name) && known.get(name) != Some(&KnownCommit::Superseded);
            let over: Vec<CommitName> = names.iter().filter(|name| !counts(name)).copied().collect();
            self.index.forget_spoiled(*id, &over)?;
            names.retain(|name| !over.contains(name));
            commits.retain(|name| !names.contains(name));
        }
        spoiled.retain(|_, names| !names.is_empty());
        Ok(spoiled)
    }

    /// Decides whether what was listed is a view, and notes who holds what.
    fn judge(
        &self,
        view: &mut View,
        held: &BTreeMap<RemoteId, BTreeSet<CommitName>>,
        noted: &BTreeMap<RemoteId, BTreeSet<CommitName>>,
        unreadable: &BTreeMap<CommitName, Error>,
    ) -> Result<()> {
        let known = self.index.known_commits()?;
        let membership = self.membership()?;
        for (status, remote) in view.remotes.iter_mut().zip(&self.remotes) {
            let removed = status.id().filter(|id| membership.state(*id) == Some(RemoteState::Removed));
            if let Some(id) = removed {
                *status = RemoteStatus::Offline(
                    Error::new(ErrorKind::Unavailable, format!("offline: it was removed from the pool as {id}"))
                        .on_remote(remote.label())
                        .hint("`rclonepool remotes add` takes it back, empty and under a new id"),
                );
            }
        }
        let superseded = |name: &CommitName| known.get(name) == Some(&KnownCommit::Superseded);
        let mut listed = BTreeSet::new();
        let nothing = BTreeSet::new();
        for (id, commits) in held {
            let before = noted.get(id).unwrap_or(&nothing);
            let (forget, gone): (BTreeSet<_>, BTreeSet<_>) =
                before.difference(commits).copied().partition(|name| superseded(name));
            // What is corrupt there is known all the same: nothing is hidden.
            let spoiled = view.spoiled.get(id).unwrap_or(&nothing);
            let gone: BTreeSet<_> = gone.difference(spoiled).copied().collect();
            // What is missing stays noted until it is seen again or superseded.
            let there = commits.difference(before).filter(|name| known.contains_key(name));
            self.index.note_held(*id, there, &forget)?;
            if gone.is_empty() {
                listed.insert(*id);
            } else {
                view.notes.push(format!("remote {} lacks {} commits it had", self.label(view, *id), gone.len()));
                view.gone.insert(*id, gone);
            }
        }
        view.rare = self.rare(&known, &membership, &view.gone)?.into_keys().collect();
        let members: BTreeSet<_> = membership.members().collect();
        let everyone = members.iter().all(|id| held.contains_key(id));
        for (name, error) in unreadable {
            let holders = held.values().filter(|commits| commits.contains(name)).count();
            // Never acknowledged, and never will be: set aside, so that it does not block care for ever.
            let set_aside = everyone && holders < membership.quorum_of().0 || !self.rules.unreadable_blocks;
            if !set_aside {
                view.unread.insert(*name);
            }
            let to = if set_aside { &mut view.notes } else { &mut view.lacks };
            to.push(format!("commit {name} cannot be read anywhere now: {error}"));
        }
        if !membership.is_view(&listed) {
            let (needed, n) = membership.view_of();
            view.lacks.push(format!("{} of {n} remotes could be listed whole; a view needs {needed}", listed.len()));
        }
        if let Some(error) = &view.later_format {
            view.lacks.push(error.clone());
        }
        view.complete = view.lacks.is_empty();
        view.listed = listed;
        Ok(())
    }

    /// The handle of each online remote.
    pub(crate) fn handles(&self, view: &View) -> BTreeMap<RemoteId, SharedRemote> {
        let pairs = view.remotes.iter().zip(&self.remotes);
        pairs.filter_map(|(status, remote)| Some((status.id()?, remote.clone()))).collect()
    }

    fn label(&self, view: &View, id: RemoteId) -> String {
        let mut pairs = view.remotes.iter().zip(&self.remotes);
        pairs.find(|(status, _)| status.id() == Some(id)).map_or_else(|| id.to_string(), |(_, r)| r.label().into())
    }

    /// Anti-entropy: commits are immutable, so giving each member what it lacks is set union.
    fn copy_missing(&self, view: &View) -> Result<()> {
        let known = self.index.known_commits()?;
        let handles = self.handles(view);
        let all: BTreeSet<CommitName> = view.held.values().flatten().copied().collect();
        for (id, commits) in &view.held {
            // What is corrupt there is put anew by care alone: it is deleted first.
            let spoiled = view.spoiled.get(id);
            let missing: Vec<CommitName> = all
                .difference(commits)
                .filter(|name| spoiled.is_none_or(|spoiled| !spoiled.contains(name)))
                .filter(|name| known.get(name).is_some_and(|state| *state != KnownCommit::Superseded))
                .copied()
                .collect();
            let Some(target) = handles.get(id).cloned().filter(|_| !missing.is_empty()) else { continue };
            let (prefix, handles, held) = (self.manifest_prefix.clone(), handles.clone(), view.held.clone());
            for name in missing {
                let (prefix, handles, held) = (prefix.clone(), handles.clone(), held.clone());
                let (target, id, refusing) = (target.clone(), *id, self.refusing.clone());
                self.offers.copy(id, name, async move {
                    let copied = async {
                        let (_, bytes) = read_commit(&handles, &held, &prefix, &name).await?;
                        target.put(&object(&prefix, &name), &Body::from(bytes)).await
                    };
                    match copied.await {
                        Ok(()) => drop(lock(&refusing).remove(&id)),
                        Err(error) if lock(&refusing).insert(id) => {
                            tracing::warn!("remote {} still lacks commits: {error}", target.label());
                        }
                        Err(error) => tracing::debug!("{} still lacks commit {name}: {error}", target.label()),
                    }
                });
            }
        }
        Ok(())
    }
}

/// Whether a name below the manifest prefix is a commit's or a marker's.
fn is_object(name: &str) -> bool {
    match name.strip_prefix("commits/") {
        Some(commit) => commit.parse::<CommitName>().is_ok(),
        None => MarkerName::parse(name).is_some(),
    }
}
