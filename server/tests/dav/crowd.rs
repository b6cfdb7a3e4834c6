//! Many clients at once, on remotes that fail now and then: what was acknowledged is there, and it is what was sent.
//! With `RCLONEPOOL_SOAK_MINUTES` (`make soak`) they go on for so long, and memory must not grow meanwhile.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rclonepool_core::testing::fault::{FaultPlan, SplitMix};

use crate::harness::{Answer, Served, ask, begin, content, end, served};

/// What one client believes of its files: what may be at each path. Several where an answer left it open.
type Beliefs = BTreeMap<String, Vec<Option<Arc<Vec<u8>>>>>;

/// Clients, and what each of them does at least.
const CLIENTS: u64 = 200;
const STEPS: u64 = 5;
/// So much may memory grow while they go on: more than the index of what they wrote takes, and than chance.
const GROWTH_MAX: u64 = 64 << 20;

/// How long they are to go on.
fn soak() -> Option<Duration> {
    let minutes = std::env::var("RCLONEPOOL_SOAK_MINUTES").ok()?;
    Some(Duration::from_secs_f64(60.0 * minutes.parse::<f64>().expect("RCLONEPOOL_SOAK_MINUTES is a number")))
}

/// What this process has resident, without what the remotes, which are part of it, hold.
fn memory(served: &Served) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    let resident = resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10;
    resident.saturating_sub(served.world.stores.iter().map(|store| store.used()).sum())
}

/// Looks at the memory until somebody ends it; gives the most of the second quarter of the time, and of the last.
async fn watch(served: &Served, until: Instant) -> (u64, u64) {
    let mut seen = Vec::new();
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(200)).await;
        seen.push(memory(served));
    }
    let quarter = seen.len() / 4;
    let most = |seen: &[u64]| seen.iter().copied().max().unwrap_or_default();
    (most(&seen[quarter..2 * quarter]), most(&seen[3 * quarter..]))
}

fn done(beliefs: &mut Beliefs, path: &str, status: u16, now: Option<Arc<Vec<u8>>>) {
    let known = beliefs.entry(path.to_owned()).or_insert_with(|| vec![None]);
    match status {
        200..=299 => *known = vec![now],
        // It failed before or behind the commit: both is possible.
        0 | 500..=599 => known.push(now),
        _ => {}
    }
}

fn agrees(answer: &Answer, known: &[Option<Arc<Vec<u8>>>]) -> bool {
    known.iter().any(|known| match known {
        None => answer.status == 404,
        Some(bytes) => answer.status == 200 && answer.is_whole && answer.body == **bytes,
    })
}

async fn client(at: SocketAddr, n: u64, until: Option<Instant>) -> Beliefs {
    let mut random = SplitMix(n);
    let mut beliefs = Beliefs::new();
    // Nothing that is written is freed within the time: the remotes would hold gigabytes.
    let large = if until.is_some() { 300_000 } else { 1_200_000 };
    for step in 0.. {
        if step >= STEPS && until.is_none_or(|until| Instant::now() >= until) {
            break;
        }
        let path = format!("/{n}-{}", random.below(3));
        let other = format!("/{n}-{}", 3 + random.below(2));
        let size = match random.below(8) {
            0 => 0,
            1..=4 => 10 + random.below(4000),
            5 | 6 => 5000 + random.below(40_000),
            _ => large,
        };
        let bytes = Arc::new(content(n << 32 | step, usize::try_from(size).unwrap()));
        match random.below(10) {
            0..=3 => {
                let status = ask(at, "PUT", &path, &[], &bytes).await.status;
                done(&mut beliefs, &path, status, Some(bytes));
            }
            4 => {
                // It gives up half-way.
                let mut asked = begin(at, "PUT", &path, &[], 1 + bytes.len()).await;
                let _ = tokio::io::AsyncWriteExt::write_all(&mut asked, &bytes).await;
                drop(asked);
            }
            5 => {
                let status = ask(at, "DELETE", &path, &[], b"").await.status;
                done(&mut beliefs, &path, status, None);
            }
            6 | 7 => {
                let Some([one]) = beliefs.get(&path).map(Vec::as_slice) else { continue };
                let Some(bytes) = one.clone() else { continue };
                let method = if random.chance(0.5) { "COPY" } else { "MOVE" };
                let status = ask(at, method, &path, &[("Destination", &other)], b"").await.status;
                done(&mut beliefs, &other, status, Some(bytes.clone()));
                if method == "MOVE" {
                    done(&mut beliefs, &path, status, None);
                }
            }
            8 => {
                let answer = ask(at, "PROPFIND", "/", &[("Depth", "1")], b"").await;
                assert!(matches!(answer.status, 207 | 503), "{answer:?}");
            }
            _ => {
                let answer = end(begin(at, "GET", &path, &[], 0).await).await;
                let none = vec![None];
                let known = beliefs.get(&path).unwrap_or(&none);
                // Remotes that fail may keep it from being read; they cannot make it another.
                let failed = answer.status >= 500 || answer.status == 0 || !answer.is_whole;
                assert!(failed || agrees(&answer, known), "{path}: {}", answer.status);
            }
        }
    }
    beliefs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crowd_loses_nothing() {
    let served = served().await;
    let plan = FaultPlan {
        unavailable: 0.01,
        put_unanswered: 0.005,
        get_flip: 0.01,
        get_cut: 0.01,
        latency: Duration::ZERO..Duration::from_millis(3),
        ..FaultPlan::default()
    };
    served.world.faults[0].set_plan(plan);
    let at = served.address;
    let until = soak().map(|time| Instant::now() + time);
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(client(at, n, until))).collect();
    if let Some(until) = until {
        let (before, after) = watch(&served, until).await;
        println!("memory beside the remotes: at most {} MiB at first, {} MiB at last", before >> 20, after >> 20);
        assert!(before > 0 && after < before + GROWTH_MAX, "{before} {after}");
    }
    let mut beliefs = Beliefs::new();
    for one in clients {
        beliefs.append(&mut one.await.unwrap());
    }
    served.world.faults[0].set_plan(FaultPlan::default());
    // What was given up may still be on its way to be refused.
    tokio::time::sleep(Duration::from_millis(300)).await;
    served.pool.sync().await.unwrap();
    let mut files = 0;
    for (path, known) in &beliefs {
        let answer = served.get(path).await;
        assert!(agrees(&answer, known), "{path}: {} of {}", answer.status, known.len());
        files += usize::from(answer.status == 200);
    }
    assert!(files > 100, "{files}");
    // And for a machine that knows only the remotes.
    let other = served.world.open(served.pool.id()).await.unwrap();
    let count = |pool: &rclonepool_core::Pool| pool.totals().unwrap().0;
    assert_eq!(count(&other), count(&served.pool));
}
