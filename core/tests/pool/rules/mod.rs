//! Each rule of the journal, by a history that breaks a promise without it and none with it.
//!
//! | Rule | Switch | Test |
//! |---|---|---|
//! | names belong to one put | `unique_names` | `writing::names_belong_to_one_put` |
//! | data first, commit second | `data_first` | `chance::data_first` |
//! | an operation in parts counts whole | `parts_wait` | `writing::parts_count_only_together` |
//! | stamps run ahead only so far | `bounded_stamps` | `writing::a_wrong_clock_does_not_win_for_a_day` |
//! | a view in the same operation | `view_before_commit` | `writing::a_write_rests_on_a_view_of_its_own`, `chance::view_before_commit` |
//! | W remotes hold what is acknowledged | `quorum` | `writing::an_acknowledged_commit_outlives_one_remote` |
//! | a remote is what its marker says | `markers` | `chance::markers` |
//! | commit, then look | `look_after_commit` | `writing::commit_then_look`, `writing::use_again_then_look` |
//! | long uploads keep what they stored | `keep_uploads` | `writing::a_long_upload_keeps_what_it_stored` |
//! | resumed uploads prove their shards | `prove_resumed` | `writing::a_resumed_upload_proves_its_shards` |
//! | a deletion names what it saw | `deletion_names_version` | `writing::a_deletion_names_what_it_saw` |
//! | care keeps the user's stamp | `keep_users_stamp` | `writing::care_keeps_the_users_stamp` |
//! | complete before consume | `complete_before_consume` | `freeing::nothing_is_freed_on_the_word_of_one_remote` |
//! | look again before the drop | `look_before_drop` | `freeing::a_collector_looks_before_it_drops` |
//! | what refers to dropped data is void | `void` | `freeing::what_refers_to_dropped_data_is_void`, `freeing::a_shard_record_of_a_dropped_object_is_void` |
//! | a condemned version shadows nothing | `shadow` | `freeing::a_condemned_version_shadows_nothing`, `freeing::nor_does_it_in_compaction` |
//! | tombstones are kept | `keep_tombstones` | `freeing::compaction_keeps_deletions` |
//! | inputs go where the result lies | `delete_beside_result` | `freeing::inputs_go_only_where_the_result_lies` |
//! | a remote joins with every commit | `join_complete` | `membership::a_remote_joins_with_every_commit` |
//! | a remote leaves with every commit on the rest | `leave_complete` | `membership::a_remote_leaves_with_every_commit_on_the_rest` |
//! | two inits at once are noticed | `notice_two_inits` | `membership::two_inits_at_once_are_noticed` |
//! | absent shards are looked for again | `list_again` | `reading::an_absent_shard_may_have_moved` |
//! | unreadable commits block care | `unreadable_blocks` | `reading::an_unreadable_commit_blocks_care_and_not_reads` |
//!
//! That merging is commutative, associative and idempotent is held by the tests of the index, the quorums of a
//! changing membership by those of the journal.

mod chance;
mod freeing;
mod membership;
mod reading;
mod writing;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rclonepool_core::Pool;
use rclonepool_core::id::PoolId;
use rclonepool_core::journal::Rules;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::script::Script;
use rclonepool_core::testing::sim;
use rclonepool_core::testing::world::World;

use crate::get;

const CHUNK: u64 = 100_000;

/// What a history came to: all was well, or what was broken.
type Outcome = Result<(), String>;

/// Plays a history with all rules, and without one.
async fn only_with(off: fn(&mut Rules), history: impl AsyncFn(Rules) -> Outcome) {
    let mut rules = Rules::default();
    if let Err(broken) = history(rules).await {
        panic!("with all rules: {broken}");
    }
    off(&mut rules);
    assert!(history(rules).await.is_err(), "without the rule nothing is broken: what is it for?");
}

/// As the test of a promise.
fn hold(promise: bool, broken: impl Into<String>) -> Outcome {
    if promise { Ok(()) } else { Err(broken.into()) }
}

/// What a machine that knows nothing reads.
async fn reads(world: &World, id: PoolId, at: &str, bytes: &[u8]) -> Outcome {
    match get(&world.open(id).await.unwrap(), at).await {
        Ok(read) if read == bytes => Ok(()),
        Ok(_) => Err(format!("{at} has other bytes")),
        Err(error) => Err(format!("{at}: {error}")),
    }
}

async fn make(n: usize, redundancy: &str, seed: u64, rules: Rules) -> (World, PoolId) {
    let mut world = World::new(n, redundancy.parse().unwrap(), CHUNK, seed);
    world.rules = rules;
    let id = world.init().await.unwrap();
    (world, id)
}

/// Collects on a machine that was opened just now, without a grace.
async fn collect(world: &World, id: PoolId) -> String {
    collect_as(&world.open(id).await.unwrap()).await
}

async fn collect_as(pool: &Pool) -> String {
    sim::collect(pool.journal(), "data", Duration::ZERO).await.unwrap()
}

/// Says yes from the `n`-th commit on that a machine puts; its copies on several remotes are one.
fn nth_commit(n: usize) -> impl Fn(&str, Verb, &str) -> bool + Send + 'static {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    move |_, verb, name| {
        let mut seen = seen.lock().unwrap();
        if verb == Verb::Put && name.contains("/commits/") {
            seen.insert(name.to_owned());
        }
        seen.len() >= n
    }
}

/// At the `n`-th commit of a machine something else happens first, before any remote takes it.
fn at_commit(script: &Script, n: usize, world: &World, scene: impl Future<Output = ()> + Send + 'static) {
    at(script, world, || nth_commit(n), scene);
}

/// As [`at_commit`], for the first call on each remote that `when` says yes to.
fn at<W: Fn(&str, Verb, &str) -> bool + Send + 'static>(
    script: &Script,
    world: &World,
    when: impl Fn() -> W,
    scene: impl Future<Output = ()> + Send + 'static,
) {
    let (over, waits) = tokio::sync::watch::channel(false);
    script.before(when(), async move {
        scene.await;
        over.send_replace(true);
    });
    for _ in 1..world.stores.len() {
        let mut waits = waits.clone();
        script.before(when(), async move { drop(waits.wait_for(|over| *over).await) });
    }
}
