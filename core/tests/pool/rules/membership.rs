//! Rules of joining, leaving and beginning.

use std::sync::Arc;

use rclonepool_core::ErrorKind;
use rclonepool_core::id::PoolId;
use rclonepool_core::journal::Rules;
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::remote::wrap::Verb;
use rclonepool_core::testing::fault::Crash;
use rclonepool_core::testing::script::{Script, ScriptRemote};
use rclonepool_core::testing::world::World;

use super::{Outcome, at, hold, make, only_with};
use crate::{content, get, put};

/// A small file, acknowledged by all remotes but one, which nothing is copied to by the way.
async fn put_on_others(world: &mut World, id: PoolId, full: usize) {
    world.rules.anti_entropy = false;
    let pool = world.open(id).await.unwrap();
    world.faults[full].set_full(true);
    let stale = put(&pool, "/f", &content(1, 10)).await.unwrap().stale;
    assert!(!stale, "W remotes took it");
    pool.journal().settle(std::time::Duration::from_secs(1)).await;
    world.faults[full].set_full(false);
}

/// What a machine shows that reaches these remotes only and calls that a view.
async fn shows(world: &World, id: PoolId, offline: &[usize]) -> Outcome {
    for remote in offline {
        world.faults[*remote].set_offline(true);
    }
    let pool = world.open(id).await.unwrap();
    let view = pool.sync().await.unwrap();
    let read = get(&pool, "/f").await;
    hold(!view.complete || read.is_ok(), "a complete view lacks what was acknowledged")
}

#[tokio::test]
async fn a_remote_joins_with_every_commit() {
    only_with(
        |rules| rules.join_complete = false,
        async |rules| {
            // What a joining remote lacks is copied when the change ends, too: that is another rule.
            let rules = {
                let mut rules = rules;
                rules.leave_complete = rules.join_complete;
                rules
            };
            let (mut world, id) = make(3, "none", 1, rules).await;
            put_on_others(&mut world, id, 2).await;
            let pool = world.open(id).await.unwrap();
            world.grow();
            // Nothing can be copied to it, as `put_on_others` has it: it must not join.
            assert_eq!(world.join_last(&pool).await.is_err(), rules.join_complete);
            shows(&world, id, &[0, 1]).await
        },
    )
    .await;
}

#[tokio::test]
async fn a_remote_leaves_with_every_commit_on_the_rest() {
    only_with(
        |rules| rules.leave_complete = false,
        async |rules| {
            let (mut world, id) = make(3, "none", 2, rules).await;
            put_on_others(&mut world, id, 1).await;
            world.open(id).await.unwrap().remove_remote("m2:", true).await.unwrap();
            shows(&world, id, &[0, 2]).await
        },
    )
    .await;
}

#[tokio::test]
async fn two_inits_at_once_are_noticed() {
    only_with(
        |rules| rules.notice_two_inits = false,
        async |rules: Rules| {
            let mut world = World::new(3, Redundancy::NONE, 1000, 3);
            world.rules = rules;
            let world = Arc::new(world);
            let script = Arc::new(Script::default());
            let other = world.clone();
            // The other one looked for pools, too, before the first marker was there.
            at(&script, &world, || |_: &str, verb, _: &str| verb == Verb::Put, async move {
                let _pool = other.init().await.unwrap();
            });
            let remotes = ScriptRemote::wrap(world.remotes(&Crash::never()), &script);
            let made = world.init_over(&remotes).await;
            assert_eq!(script.left(), 0);
            // Neither is of use; that it failed is not enough to know why.
            let told = made.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists);
            hold(told, format!("nobody is told that there are two pools: {made:?}"))
        },
    )
    .await;
}
