//! Plays a plan: makes the world, lets things happen in it at their times, and ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::machine::{Command, Machine, Shared};
use super::plan::{CHUNK_BYTES, Plan, What};
use super::{Failure, Options, Outcome, verdict};
use crate::error::{Error, ErrorKind, Result};
use crate::journal::Limits;
use crate::journal::membership::Membership;
use crate::remote::memory::MemoryStore;
use crate::testing::fault::FaultPlan;
use crate::testing::history::{Slot, Witness, marker};
use crate::testing::world::World;

/// How long after the last step things go on failing.
const AFTER: Duration = Duration::from_secs(30);
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

pub(super) fn play(plan: Plan, options: &Options) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(plan.remotes, plan.redundancy, CHUNK_BYTES, plan.seed);
    world.settings.trash_hours = plan.trash_hours;
    world.settings.compression = plan.compression;
    // Half of the histories read by what was read before.
    if plan.seed.is_multiple_of(2) {
        (world.settings.cache_bytes, world.settings.prefetch_bytes) = (1 << 20, 2 * CHUNK_BYTES);
    }
    world.settings.deduplication = plan.deduplication;
    world.settings.chunker = plan.chunker;
    world.rules = options.rules;
    world.limits = Limits { compact_from: 6, part_bytes: 8_000 };
    world.settings.offer_timeout = Duration::from_secs(60);
    let witness = Witness::new(world.clock.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let played = match runtime {
        // A paused clock that nothing waits for stands still: so something always waits.
        Ok(runtime) => runtime.block_on(async {
            let played = tokio::time::timeout(FOREVER, act_out(&plan, options, world, &witness)).await;
            played.unwrap_or_else(|_| Err(Error::new(ErrorKind::Timeout, "everything waits for something for ever")))
        }),
        Err(error) => Err(Error::io("cannot make a runtime", error)),
    };
    let files = played.unwrap_or_else(|error| {
        witness.broken("0 (the simulation itself)", error.to_string());
        0
    });
    let broken = witness.all_broken();
    if broken.is_empty() {
        let (acknowledged, stale) = witness.counts();
        let (commits, history) = (witness.names().len(), witness.lines());
        Ok(Outcome { acknowledged, stale, commits, files, history })
    } else {
        Err(Box::new(Failure { seed: plan.seed, broken, plan, history: witness.lines() }))
    }
}

/// Which disk lies where, and what is wrong with that just now.
struct Disks {
    shared: Arc<Shared>,
    /// The pool's own disks; a remote's position says where it belongs.
    own: Vec<MemoryStore>,
    /// What lies under an unmounted disk.
    mount_points: Vec<MemoryStore>,
    foreign: MemoryStore,
    unmounted: BTreeMap<usize, u32>,
    strange: BTreeMap<usize, u32>,
    swapped: Vec<(usize, usize)>,
    offline: BTreeMap<usize, u32>,
    full: BTreeMap<usize, u32>,
    lost: Vec<usize>,
}

impl Disks {
    fn arrange(&self) {
        let mut order: Vec<usize> = (0..self.own.len()).collect();
        for (a, b) in &self.swapped {
            order.swap(*a, *b);
        }
        for (position, slot) in self.shared.slots.iter().enumerate() {
            let on = |map: &BTreeMap<usize, u32>| map.get(&position).is_some_and(|n| *n > 0);
            slot.change(if on(&self.unmounted) {
                self.mount_points[position].clone()
            } else if on(&self.strange) {
                self.foreign.clone()
            } else {
                self.own[order[position]].clone()
            });
            if let Some(faults) = self.shared.world.faults.get(position) {
                faults.set_offline(on(&self.offline));
                faults.set_full(on(&self.full));
                faults.set_lost(self.lost.contains(&position));
            }
        }
    }
}

impl Disks {
    /// Notes that a remote had trouble: what is stored just then may avoid it.
    fn trouble(&self, what: &What) {
        let witness = &self.shared.witness;
        match what {
            What::Offline { remote, .. }
            | What::Unmount { remote, .. }
            | What::Foreign { remote, .. }
            | What::Full { remote, .. }
            | What::Rollback { remote, .. } => witness.trouble(*remote),
            What::Swap { a, b, .. } => [a, b].into_iter().for_each(|at| witness.trouble(*at)),
            What::Wipe(remote) | What::Lose(remote) => witness.trouble_for_good(*remote),
            What::Do(..) | What::Crash { .. } | What::Suspend { .. } | What::Restart(_) => {}
        }
    }
}

/// The end of something that lasts a while.
enum Over {
    Unmount(usize),
    Foreign(usize),
    Swap(usize, usize),
    Offline(usize),
    Full(usize),
    Rollback(usize, MemoryStore),
}

async fn act_out(plan: &Plan, options: &Options, world: World, witness: &Arc<Witness>) -> Result<usize> {
    let shared = prepare(options, world, witness).await?;
    let own = shared.world.stores.clone();
    let mut disks = Disks {
        mount_points: own.iter().map(|_| MemoryStore::default()).collect(),
        foreign: foreign(plan.seed).await?,
        own,
        shared: shared.clone(),
        unmounted: BTreeMap::new(),
        strange: BTreeMap::new(),
        swapped: Vec::new(),
        offline: BTreeMap::new(),
        full: BTreeMap::new(),
        lost: Vec::new(),
    };
    for faults in &shared.world.faults {
        faults.set_plan(plan.faults.clone());
    }
    let mut machines = JoinSet::new();
    let mut orders = Vec::new();
    for (number, machine) in plan.machines.iter().enumerate() {
        let (sender, receiver) = mpsc::unbounded_channel();
        orders.push(sender);
        machines.spawn(Machine::new(number, machine.clone(), shared.clone())?.live(receiver));
    }
    happen(plan, &mut disks, &orders).await;
    tokio::time::sleep(AFTER).await;
    // From here on nothing fails any more; what is lost stays lost.
    for faults in &shared.world.faults {
        faults.set_plan(FaultPlan { latency: plan.faults.latency.clone(), ..FaultPlan::default() });
    }
    (disks.unmounted, disks.strange, disks.offline, disks.full) = Default::default();
    disks.swapped.clear();
    disks.arrange();
    finish(&orders).await;
    // Whoever died over it hears nothing more.
    drop(orders);
    while let Some(ended) = machines.join_next().await {
        ended.map_err(|e| Error::new(ErrorKind::Internal, format!("a machine: {e}")))??;
    }
    verdict::judge(plan, options, &shared, &disks.lost).await
}

/// Makes the pool and everything around it.
async fn prepare(options: &Options, world: World, witness: &Arc<Witness>) -> Result<Arc<Shared>> {
    world.clock.follow_runtime();
    let pool = world.init().await?;
    // The pool's first commits are history, too.
    let slots: Vec<Arc<Slot>> = world.stores.iter().map(|store| Slot::new(store.clone())).collect();
    for store in &world.stores {
        witness.look_into(store);
    }
    let opened = world.open(pool).await?;
    let membership: Membership = opened.journal().membership()?;
    witness.set_quorum(membership.quorum_of().0);
    let files = tempfile::Builder::new().prefix("rclonepool-sim-").tempdir();
    let files = files.map_err(|e| Error::io("cannot make a directory for files to upload", e))?;
    Ok(Arc::new(Shared { world, pool, slots, witness: witness.clone(), files, blurred: options.blurred }))
}

/// A disk of another pool.
async fn foreign(seed: u64) -> Result<MemoryStore> {
    let other = World::new(1, crate::redundancy::Redundancy::NONE, CHUNK_BYTES, seed ^ 0xf0e1);
    other.init().await?;
    Ok(other.stores.into_iter().next().unwrap_or_default())
}

/// Lets everything happen at its time.
async fn happen(plan: &Plan, disks: &mut Disks, orders: &[mpsc::UnboundedSender<Command>]) {
    let begin = tokio::time::Instant::now();
    let mut ends: Vec<(u64, Over)> = Vec::new();
    for (n, step) in plan.steps.iter().enumerate() {
        end_due(disks, &mut ends, begin, step.at_ms).await;
        tokio::time::sleep_until(begin + Duration::from_millis(step.at_ms)).await;
        let order = |machine: usize, command| {
            // A machine that is gone hears nothing.
            let _ = orders.get(machine).map(|orders| orders.send(command));
        };
        if !matches!(step.what, What::Do(..)) {
            disks.shared.witness.line(step);
            disks.trouble(&step.what);
        }
        let mut ends_at = |ms: u64, over| ends.push((step.at_ms + ms, over));
        match &step.what {
            What::Do(machine, action) => order(*machine, Command::Do(n, action.clone())),
            What::Crash { machine, calls, down_ms, keep_index } => {
                let (calls, down_ms, keep_index) = (*calls, *down_ms, *keep_index);
                order(*machine, Command::Crash { calls, down_ms, keep_index });
            }
            What::Suspend { machine, ms } => order(*machine, Command::Suspend(*ms)),
            What::Restart(machine) => order(*machine, Command::Restart),
            What::Offline { remote, ms } => {
                *disks.offline.entry(*remote).or_default() += 1;
                ends_at(*ms, Over::Offline(*remote));
            }
            What::Full { remote, ms } => {
                *disks.full.entry(*remote).or_default() += 1;
                ends_at(*ms, Over::Full(*remote));
            }
            What::Unmount { remote, ms } => {
                *disks.unmounted.entry(*remote).or_default() += 1;
                ends_at(*ms, Over::Unmount(*remote));
            }
            What::Foreign { remote, ms } => {
                *disks.strange.entry(*remote).or_default() += 1;
                ends_at(*ms, Over::Foreign(*remote));
            }
            What::Swap { a, b, ms } => {
                disks.swapped.push((*a, *b));
                ends_at(*ms, Over::Swap(*a, *b));
            }
            What::Lose(remote) => disks.lost.push(*remote),
            What::Wipe(remote) => disks.own[*remote].clear(),
            What::Rollback { remote, ms } => ends_at(*ms, Over::Rollback(*remote, disks.own[*remote].snapshot())),
        }
        disks.arrange();
    }
    end_due(disks, &mut ends, begin, u64::MAX).await;
}

/// Ends what lasts no longer than until `at_ms`.
async fn end_due(disks: &mut Disks, ends: &mut Vec<(u64, Over)>, begin: tokio::time::Instant, at_ms: u64) {
    loop {
        let next = ends.iter().enumerate().min_by_key(|(_, (at, _))| *at).map(|(n, (at, _))| (n, *at));
        let Some((n, at)) = next.filter(|(_, at)| *at <= at_ms) else { return };
        let (_, over) = ends.swap_remove(n);
        tokio::time::sleep_until(begin + Duration::from_millis(at)).await;
        match &over {
            Over::Unmount(at) | Over::Foreign(at) | Over::Offline(at) | Over::Full(at) | Over::Rollback(at, _) => {
                disks.shared.witness.trouble(*at);
            }
            Over::Swap(a, b) => [a, b].into_iter().for_each(|at| disks.shared.witness.trouble(*at)),
        }
        let less = |map: &mut BTreeMap<usize, u32>, at: usize| *map.entry(at).or_default() -= 1;
        match over {
            Over::Unmount(at) => less(&mut disks.unmounted, at),
            Over::Foreign(at) => less(&mut disks.strange, at),
            Over::Offline(at) => less(&mut disks.offline, at),
            Over::Full(at) => less(&mut disks.full, at),
            Over::Swap(a, b) => {
                let first = disks.swapped.iter().position(|pair| *pair == (a, b));
                first.map(|at| disks.swapped.remove(at));
            }
            Over::Rollback(at, before) => {
                disks.own[at].swap(&before);
                disks.shared.witness.set_back(marker(&before));
            }
        }
        disks.arrange();
    }
}

/// Lets every machine end what it began.
async fn finish(orders: &[mpsc::UnboundedSender<Command>]) {
    let mut ended = Vec::new();
    for machine in orders {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        if machine.send(Command::Finish(sender)).is_ok() {
            ended.push(receiver);
        }
    }
    for receiver in ended {
        let _ = receiver.await;
    }
}
