use tokio::time::Instant;

use super::*;
use crate::env::SystemEnv;
use crate::remote::wrap::Verb;
use crate::remote::{MemoryRemote, MemoryStore};
use crate::testing::conformance::{content, listed, read, run_all};
use crate::testing::fault::{Crash, FaultPlan, FaultRemote, Faults};
use crate::testing::record::{RecordLog, RecordRemote};

struct Bench {
    remote: RetryRemote,
    faults: Arc<Faults>,
    log: Arc<RecordLog>,
    store: MemoryStore,
}

fn bench(seed: u64, plan: FaultPlan, max_retries: u32) -> Bench {
    let (memory, faults, log) = (MemoryRemote::new("m"), Faults::new(seed, plan), Arc::new(RecordLog::default()));
    let store = memory.store().clone();
    let faulty = FaultRemote::new(Arc::new(memory), Arc::clone(&faults), Crash::never());
    let recorded = RecordRemote::new(Arc::new(faulty), Arc::clone(&log));
    let options = RetryOptions { max_retries, ..RetryOptions::default() };
    Bench { remote: RetryRemote::new(Arc::new(recorded), options, Arc::new(SystemEnv)), faults, log, store }
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again_and_nothing_else() {
    let always = |plan: fn(&mut FaultPlan)| {
        let mut made = FaultPlan::default();
        plan(&mut made);
        bench(1, made, 3)
    };
    for (bench, kind, tries, longest) in [
        (always(|p| p.unavailable = 1.0), ErrorKind::Unavailable, 4, 1 + 2 + 4),
        // Who asks for patience gets it.
        (always(|p| p.rate_limited = 1.0), ErrorKind::RateLimited, 7, 1 + 2 + 4 + 8 + 16 + 30),
        (always(|p| p.timeout = 1.0), ErrorKind::Timeout, 4, 1 + 2 + 4),
    ] {
        let begin = Instant::now();
        assert_eq!(bench.remote.stat("a").await.unwrap_err().kind(), kind);
        bench.log.assert_count(Verb::Stat, tries, "one try and the others");
        assert!(begin.elapsed() < Duration::from_secs(longest), "{:?}", begin.elapsed());
        assert_eq!(bench.remote.delete("a").await.unwrap_err().kind(), kind);
        assert_eq!(bench.remote.get("a", None).await.err().unwrap().kind(), kind);
        assert_eq!(listed(&bench.remote, "a").await.unwrap_err().kind(), kind);
        assert_eq!(bench.remote.usage().await.unwrap_err().kind(), kind);
        for verb in [Verb::Delete, Verb::Get, Verb::List, Verb::Usage] {
            bench.log.assert_count(verb, tries, "one try and the others");
        }
    }

    let lost = bench(1, FaultPlan::default(), 3);
    lost.faults.set_lost(true);
    let begin = Instant::now();
    assert_eq!(lost.remote.stat("a").await.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(lost.remote.put("a", &vec![1].into()).await.unwrap_err().kind(), ErrorKind::Auth);
    lost.faults.set_lost(false);
    assert_eq!(read(&lost.remote, "a", None).await.unwrap_err().kind(), ErrorKind::NotFound);
    lost.faults.set_full(true);
    assert_eq!(lost.remote.put("a", &vec![1].into()).await.unwrap_err().kind(), ErrorKind::Full);
    lost.log.assert_count(Verb::Stat, 1, "no second try");
    lost.log.assert_count(Verb::Put, 2, "no second try");
    assert!(begin.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn listings_may_have_fewer_tries() {
    let mut bench = bench(1, FaultPlan { unavailable: 1.0, ..FaultPlan::default() }, 3);
    let options = RetryOptions { list_retries: 1, ..RetryOptions::default() };
    let faulty = FaultRemote::new(Arc::new(MemoryRemote::new("m")), Arc::clone(&bench.faults), Crash::never());
    let recorded = RecordRemote::new(Arc::new(faulty), Arc::clone(&bench.log));
    bench.remote = RetryRemote::new(Arc::new(recorded), options, Arc::new(SystemEnv));
    listed(&bench.remote, "a").await.unwrap_err();
    bench.log.assert_count(Verb::List, 2, "one try and one more");
    bench.remote.stat("a").await.unwrap_err();
    bench.log.assert_count(Verb::Stat, 4, "others have theirs");
}

#[tokio::test(start_paused = true)]
async fn waits_grow_are_random_and_bounded() {
    let mut waits = vec![];
    for seed in 0..20 {
        let bench = bench(seed, FaultPlan { unavailable: 1.0, ..FaultPlan::default() }, 12);
        let begin = Instant::now();
        bench.remote.stat("a").await.unwrap_err();
        waits.push(begin.elapsed().as_secs_f64());
    }
    // 1+2+4+8+16 and then 7 times 30 at most; half of that on average.
    let mean = waits.iter().sum::<f64>() / 20.0;
    assert!(waits.iter().all(|w| *w < 241.0) && (80.0..160.0).contains(&mean), "{waits:?}");
    assert!(waits.iter().any(|w| (w - waits[0]).abs() > 1.0), "not random: {waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_put_with_an_unknown_outcome_is_asked_for() {
    let lost = bench(1, FaultPlan { put_unanswered: 1.0, ..FaultPlan::default() }, 3);
    lost.remote.put("a", &content(1, 1000).into()).await.unwrap();
    lost.log.assert_count(Verb::Put, 1, "the first put was there");
    lost.log.assert_count(Verb::Stat, 1, "which one stat tells");

    // Even with no try left.
    let lost = bench(1, FaultPlan { put_unanswered: 1.0, ..FaultPlan::default() }, 0);
    lost.remote.put("a", &content(1, 1000).into()).await.unwrap();

    // What lies there truncated is not the object.
    let cut = bench(1, FaultPlan { put_partial: 1.0, ..FaultPlan::default() }, 3);
    let error = cut.remote.put("a", &content(1, 1000).into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(cut.store.object("a").unwrap().len() < 1000);
    cut.log.assert_count(Verb::Put, 4, "none was whole");
    cut.faults.set_plan(FaultPlan::default());
    cut.remote.put("a", &content(1, 1000).into()).await.unwrap();
    assert_eq!(cut.store.object("a").unwrap(), content(1, 1000));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_goes_on_where_it_broke() {
    let bytes = content(1, 100_000);
    for (seed, range) in (0..30).zip([None, Some(0..100_000), Some(777..99_000)].into_iter().cycle()) {
        let bench = bench(seed, FaultPlan { get_cut: 0.7, ..FaultPlan::default() }, 40);
        bench.store.insert("a", bytes.clone());
        let want = range.clone().map_or(&bytes[..], |r| &bytes[r.start as usize..r.end as usize]);
        assert!(read(&bench.remote, "a", range).await.unwrap() == want);
        assert_eq!(bench.log.bytes(Verb::Get), want.len() as u64, "no byte came twice");
    }
    // Breaks without progress are counted.
    let bench = bench(1, FaultPlan { get_cut: 1.0, ..FaultPlan::default() }, 5);
    bench.store.insert("a", "xx");
    assert_eq!(read(&bench.remote, "a", None).await.unwrap_err().kind(), ErrorKind::Unavailable);
    // The object vanished in between.
    let (stream, store) = (bench.remote.get("a", None).await.unwrap(), bench.store.clone());
    store.clear();
    assert_eq!(
        futures_util::TryStreamExt::try_collect::<Vec<_>>(stream).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test(start_paused = true)]
async fn conformance_on_a_bad_day() {
    let plan = FaultPlan {
        unavailable: 0.1,
        rate_limited: 0.1,
        timeout: 0.1,
        put_partial: 0.2,
        put_unanswered: 0.2,
        get_cut: 0.3,
        latency: Duration::ZERO..Duration::from_millis(300),
        ..FaultPlan::default()
    };
    for seed in 0..3 {
        run_all(&bench(seed, plan.clone(), 30).remote).await;
    }
}
