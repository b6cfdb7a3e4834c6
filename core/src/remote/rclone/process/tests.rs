#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// A child on the leash, and an address where somebody listens but never answers.
fn hanging(script: &str) -> (Guarded, std::os::unix::net::UnixListener) {
    let run_dir = RunDir::make(&std::env::temp_dir()).unwrap();
    let socket = run_dir.path().join("rc.sock");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let mut command = system::on_a_leash(std::path::Path::new("/bin/sh"));
    let mut child = command.args(["-c", script]).stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (pid, leash) = (child.id().unwrap(), child.stdin.take());
    let rc = Rc::new(Address::Socket(socket), None);
    (Guarded { child, leash, follower: None, pid, told_to_end: false, rc, _run_dir: run_dir }, listener)
}

#[tokio::test]
async fn one_that_hangs_is_ended() {
    for (script, signal) in [("exec sleep 1000", 15), ("trap '' TERM; exec sleep 1000", 9)] {
        let (guarded, _listener) = hanging(script);
        let (_stop, stop_rx) = oneshot::channel();
        sleep(Duration::from_millis(300)).await;
        // From here on time jumps ahead whenever everything waits.
        tokio::time::pause();
        let (ended_tx, mut ended) = watch::channel(None);
        let begin = Instant::now();
        tokio::spawn(guarded.watch(stop_rx, ended_tx));
        let how = ended.wait_for(Option::is_some).await.unwrap().clone().unwrap();
        assert!(how.contains(&format!("signal: {signal} ")), "{how}");
        assert!(begin.elapsed() > HEALTH_EVERY * HEALTH_FAILURES);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn one_that_is_let_go_is_ended_and_so_is_its_watchdog() {
    let (mut guarded, _listener) = hanging("exec sleep 1000");
    let pid = guarded.pid;
    drop(guarded.leash.take());
    let status = timeout(Duration::from_secs(10), guarded.child.wait()).await.unwrap().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    // The group of the process, its leader gone, empties soon after.
    let group = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    for _ in 0..500 {
        if rustix::process::test_kill_process_group(group).is_err() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("the watchdog is still there");
}
