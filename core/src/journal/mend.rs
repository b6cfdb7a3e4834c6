//! Corrupt copies of commits: known ones count for nothing, and are put anew from a good copy.
//!
//! A commit's name says its bytes, so putting the right bytes where wrong ones lie changes no commit: it is what
//! the first put should have left there.

use super::commit::{Commit, CommitName};
use super::read::{object, read_commit, read_copy};
use super::{Journal, View};
use crate::error::{Error, ErrorKind, Result};
use crate::id::RemoteId;
use crate::remote::{Body, SharedRemote, read_whole};

/// What became of the corrupt copies.
#[derive(Debug, Default)]
pub(crate) struct Mended {
    /// Copies put anew and read back.
    pub done: Vec<(RemoteId, CommitName)>,
    /// Those that stay as they are for now, and why.
    pub left: Vec<(RemoteId, CommitName, Error)>,
}

impl Journal {
    /// Puts the corrupt copies that this machine knows of anew, on the remotes of `view`.
    ///
    /// The right bytes are in hand and verified, and the copy is read once more and found corrupt, before it is
    /// deleted; then they are put, and read back. Broken off after the deletion, the copy is missing, and comes
    /// back as any that is.
    ///
    /// # Errors
    /// Those of the index. Trouble with remotes is in the result.
    pub(crate) async fn mend(&self, view: &View) -> Result<Mended> {
        let mut mended = Mended::default();
        if view.spoiled.is_empty() || view.later_format.is_some() {
            return Ok(mended);
        }
        let handles = self.handles(view);
        for (id, names) in &view.spoiled {
            let Some(remote) = handles.get(id) else { continue };
            for name in names {
                let put = async {
                    let good = read_commit(&handles, &view.held, &self.manifest_prefix, name).await?;
                    self.put_anew(remote, name, Body::from(good.1)).await
                };
                match put.await {
                    Ok(anew) => {
                        self.index.forget_spoiled(*id, [name])?;
                        self.index.note_held(*id, [name], [])?;
                        if anew {
                            tracing::info!("remote {}: commit {name} was corrupt and is put anew", remote.label());
                            mended.done.push((*id, *name));
                        }
                    }
                    Err(error) => mended.left.push((*id, *name, error.on_remote(remote.label()))),
                }
            }
        }
        Ok(mended)
    }

    /// Gives back whether there was anything to do: another machine may have been faster.
    async fn put_anew(&self, remote: &SharedRemote, name: &CommitName, good: Body) -> Result<bool> {
        match read_copy(remote, &self.manifest_prefix, name).await {
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Corrupt => {}
            // Whatever lies there now, it is not what was found; a later listing tells.
            Err(error) => return Err(error),
        }
        let object = object(&self.manifest_prefix, name);
        // Put over it, it might be taken for what is there: some backends compare sizes only.
        remote.delete(&object).await?;
        remote.put(&object, &good).await?;
        Commit::decode(name, &read_whole(remote.as_ref(), &object).await?).map(|_| true)
    }
}
