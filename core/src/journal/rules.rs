//! The rules of the journal as switches.

/// The rules a simulation may switch off to show what each prevents. All on, always, elsewhere.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Rules {
    /// Names belong to one put: random chunk ids, a fresh nonce for each shard put.
    pub unique_names: bool,
    /// Commit only after the data is stored.
    pub data_first: bool,
    /// Parts count only with their closing commit.
    pub parts_wait: bool,
    /// A stamp runs ahead of those seen only so far without a view, whatever the clock says.
    pub bounded_stamps: bool,
    /// Require a view listed in the same operation, and a stamp above all in it.
    pub view_before_commit: bool,
    /// Acknowledge only with W remotes.
    pub quorum: bool,
    /// A remote is what its marker says, not what its name is.
    pub markers: bool,
    /// Look for marks after the commit, before acknowledging.
    pub look_after_commit: bool,
    /// A long upload commits at intervals what it has stored, so that it is not collected.
    pub keep_uploads: bool,
    /// A resumed upload proves that its shards exist.
    pub prove_resumed: bool,
    /// A deletion kills only what it saw.
    pub deletion_names_version: bool,
    /// Care revises a version under the stamp that the user's operation gave it.
    pub keep_users_stamp: bool,
    /// Nothing rests on a commit that fewer than W remotes hold.
    pub complete_before_consume: bool,
    /// A collector looks once more, after the grace, before it drops what it condemned.
    pub look_before_drop: bool,
    /// A collector marks a chunk before it drops it.
    pub condemn_first: bool,
    /// A collector waits between the mark and the drop.
    pub grace_before_drop: bool,
    /// A collector commits that something is dropped before it deletes it.
    pub drop_before_delete: bool,
    /// Space is freed without a grace only by a process that is alone.
    pub alone_for_no_grace: bool,
    /// What refers to a dropped chunk does not count; the next older version does.
    pub void: bool,
    /// A version whose chunk is condemned, but not dropped, does not hide the older one from care.
    pub shadow: bool,
    /// Compaction keeps deletions.
    pub keep_tombstones: bool,
    /// Compaction deletes an input only where its result was read back.
    pub delete_beside_result: bool,
    /// Copy what a remote lacks.
    pub anti_entropy: bool,
    /// A new member holds every commit before it counts.
    pub join_complete: bool,
    /// A change of membership ends only with every commit on W of the members after it.
    pub leave_complete: bool,
    /// Who makes a pool looks once more for another one being made.
    pub notice_two_inits: bool,
    /// A reader that finds a shard absent lists the journal again.
    pub list_again: bool,
    /// Where a commit cannot be read, there is no view.
    pub unreadable_blocks: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            unique_names: true,
            data_first: true,
            parts_wait: true,
            bounded_stamps: true,
            view_before_commit: true,
            quorum: true,
            markers: true,
            look_after_commit: true,
            keep_uploads: true,
            prove_resumed: true,
            deletion_names_version: true,
            keep_users_stamp: true,
            complete_before_consume: true,
            look_before_drop: true,
            condemn_first: true,
            grace_before_drop: true,
            drop_before_delete: true,
            alone_for_no_grace: true,
            void: true,
            shadow: true,
            keep_tombstones: true,
            delete_beside_result: true,
            anti_entropy: true,
            join_complete: true,
            leave_complete: true,
            notice_two_inits: true,
            list_again: true,
            unreadable_blocks: true,
        }
    }
}
