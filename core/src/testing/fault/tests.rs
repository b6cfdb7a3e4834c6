use super::*;
use crate::remote::{MemoryRemote, MemoryStore, Remote};
use crate::testing::conformance::{content, listed, read, run_all};

fn faulty(seed: u64, plan: FaultPlan) -> (FaultRemote, Arc<Faults>, MemoryStore) {
    let (memory, faults) = (MemoryRemote::new("m"), Faults::new(seed, plan));
    let store = memory.store().clone();
    (FaultRemote::new(Arc::new(memory), Arc::clone(&faults), Crash::never()), faults, store)
}

#[tokio::test(start_paused = true)]
async fn without_faults_it_conforms() {
    let (remote, ..) = faulty(1, FaultPlan::default());
    run_all(&remote).await;
}

/// What a run looked like: every answer, in order.
async fn run(seed: u64) -> Vec<String> {
    let plan = FaultPlan {
        unavailable: 0.1,
        rate_limited: 0.05,
        timeout: 0.05,
        hang: 0.02,
        put_partial: 0.2,
        put_unanswered: 0.1,
        get_flip: 0.2,
        get_cut: 0.2,
        get_short: 0.2,
        list_stale: 0.5,
        latency: Duration::ZERO..Duration::from_millis(100),
    };
    let (remote, faults, store) = faulty(seed, plan);
    let remote = Arc::new(remote);
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4u64 {
        let (remote, log) = (Arc::clone(&remote), Arc::clone(&log));
        tasks.spawn(async move {
            for i in 0..25 {
                let name = format!("d/{task}-{i}");
                let put = remote.put(&name, &content(i, 300).into()).await;
                let got = read(&*remote, &name, None).await;
                let seen = listed(&*remote, "d").await;
                log.lock().unwrap().push(format!("{name} {put:?} {got:?} {seen:?}"));
            }
        });
    }
    tasks.join_all().await;
    faults.set_plan(FaultPlan::default());
    let mut log = Arc::try_unwrap(log).unwrap().into_inner().unwrap();
    log.push(format!("{:?}", store.names().iter().map(|n| store.object(n)).collect::<Vec<_>>()));
    log
}

#[tokio::test(start_paused = true)]
async fn one_seed_one_story() {
    let (first, again, other) = (run(7).await, run(7).await, run(8).await);
    assert!(first == again, "a replay differs");
    assert!(first != other, "seeds do not matter");
    let all = first.join("\n");
    for kind in ["unavailable", "too many requests", "timed out", "in mid-put", "answer to a put", "in mid-get"] {
        assert!(all.contains(kind), "{kind} never happened");
    }
}

#[tokio::test(start_paused = true)]
async fn damage_on_the_way_leaves_the_object_alone() {
    let bytes = content(1, 1000);
    let (remote, faults, store) = faulty(1, FaultPlan { get_flip: 1.0, ..FaultPlan::default() });
    store.insert("a", bytes.clone());
    let got = read(&remote, "a", None).await.unwrap();
    let flipped: u32 = got.iter().zip(&bytes).map(|(g, b)| (g ^ b).count_ones()).sum();
    assert_eq!((got.len(), flipped), (1000, 1));
    faults.set_plan(FaultPlan { get_short: 1.0, ..FaultPlan::default() });
    let got = read(&remote, "a", Some(100..200)).await.unwrap();
    assert!(got.len() < 100 && got == bytes[100..100 + got.len()]);
    assert_eq!(store.object("a").unwrap(), bytes);
}

#[tokio::test(start_paused = true)]
async fn stale_listings_hide_only_the_newest() {
    let (remote, faults, _) = faulty(3, FaultPlan::default());
    for i in 0..40 {
        remote.put(&format!("d/{i:02}"), &vec![1].into()).await.unwrap();
    }
    assert_eq!(listed(&remote, "d").await.unwrap().len(), 40);
    faults.set_plan(FaultPlan { list_stale: 1.0, ..FaultPlan::default() });
    let seen = listed(&remote, "d").await.unwrap();
    assert!((24..40).contains(&seen.len()), "{}", seen.len());
    assert!(seen.iter().filter(|o| o.name.as_str() < "d/24").count() == 24);
    assert_eq!(remote.stat("d/39").await.unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn switches() {
    let (remote, faults, store) = faulty(1, FaultPlan::default());
    remote.put("old", &vec![1].into()).await.unwrap();
    faults.set_offline(true);
    assert_eq!(remote.stat("old").await.unwrap_err().kind(), ErrorKind::Unavailable);
    faults.set_offline(false);
    faults.set_lost(true);
    assert_eq!(listed(&remote, "").await.unwrap_err().kind(), ErrorKind::Auth);
    faults.set_lost(false);

    faults.set_read_only(true);
    assert_eq!(remote.put("b", &vec![1].into()).await.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(remote.delete("old").await.unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(remote.stat("old").await.unwrap(), Some(1));
    faults.set_read_only(false);

    faults.set_full(true);
    assert_eq!(remote.put("b", &vec![1].into()).await.unwrap_err().kind(), ErrorKind::Full);
    faults.set_full(false);

    faults.set_emptied(true);
    assert_eq!((remote.stat("old").await.unwrap(), listed(&remote, "").await.unwrap().len()), (None, 0));
    assert_eq!(read(&remote, "old", None).await.unwrap_err().kind(), ErrorKind::NotFound);
    remote.delete("old").await.unwrap();
    remote.put("new", &vec![1, 2].into()).await.unwrap();
    assert_eq!(listed(&remote, "").await.unwrap().len(), 1);
    assert_eq!(read(&remote, "new", None).await.unwrap().len(), 2);
    faults.set_emptied(false);
    assert_eq!(store.names(), ["new", "old"]);
    assert_eq!(remote.stat("old").await.unwrap(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn the_dead_stay_dead_and_their_last_call_may_have_worked() {
    let mut fates = [0; 3];
    for seed in 0..60 {
        let crash = Crash::at(3);
        let stores = [MemoryStore::default(), MemoryStore::default()];
        let remotes: Vec<_> = stores
            .iter()
            .map(|s| {
                let memory = Arc::new(MemoryRemote::on("m", s.clone()));
                FaultRemote::new(memory, Faults::new(seed, FaultPlan::default()), Arc::clone(&crash))
            })
            .collect();
        remotes[0].put("a", &vec![1; 100].into()).await.unwrap();
        assert_eq!(remotes[1].stat("none").await.unwrap(), None);
        assert!(!crash.happened());
        let error = remotes[1].put("b", &vec![1; 100].into()).await.unwrap_err();
        assert!(Crash::is_crash(&error) && !error.is_retryable() && crash.happened(), "{error}");
        fates[match stores[1].object("b") {
            None => 0,
            Some(b) if b.len() < 100 => 1,
            Some(_) => 2,
        }] += 1;
        for remote in &remotes {
            assert!(Crash::is_crash(&remote.stat("a").await.unwrap_err()));
            assert!(Crash::is_crash(&listed(remote, "").await.unwrap_err()));
            assert!(Crash::is_crash(&remote.delete("a").await.unwrap_err()));
        }
        assert_eq!(stores[0].names(), ["a"]);
        assert_eq!(crash.calls(), 9);
    }
    assert!(fates.iter().all(|n| *n > 8), "{fates:?}");

    // Streams and calls on their way die too, and a machine can be told when to die.
    let (memory, crash) = (Arc::new(MemoryRemote::new("m")), Crash::never());
    let second = Duration::from_secs(1);
    let slow = Faults::new(1, FaultPlan { latency: second..second, ..FaultPlan::default() });
    let remote = FaultRemote::new(memory, slow, Arc::clone(&crash));
    remote.put("a", &vec![1; 1000].into()).await.unwrap();
    let mut stream = remote.get("a", None).await.unwrap();
    use futures_util::StreamExt;
    stream.next().await.unwrap().unwrap();
    crash.arm(2);
    let (first, second) = tokio::join!(remote.stat("a"), remote.stat("a"));
    assert!(Crash::is_crash(&first.unwrap_err()) && Crash::is_crash(&second.unwrap_err()));
    assert!(Crash::is_crash(&stream.next().await.unwrap().unwrap_err()));
}
