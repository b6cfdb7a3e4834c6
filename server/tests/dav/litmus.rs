//! litmus, the conformance suite of WebDAV: all of it.

use std::process::Command;

use crate::harness::served;

/// Its suites, and how many tests each has.
const SUITES: [(&str, usize); 5] = [("basic", 16), ("copymove", 13), ("props", 30), ("locks", 41), ("http", 4)];

#[tokio::test(flavor = "multi_thread")]
async fn litmus_passes_whole() {
    let served = served().await;
    let url = served.url("/");
    let directory = tempfile::tempdir().unwrap();
    let mut run = Command::new("litmus");
    run.arg("-k").arg(&url).current_dir(directory.path());
    let output = tokio::task::spawn_blocking(move || run.output()).await.unwrap();
    let output = output.expect("litmus is missing: install it (Debian: apt-get install litmus)");
    let text = String::from_utf8_lossy(&output.stdout).replace('\r', "\n");
    for (suite, tests) in SUITES {
        let summary = format!("summary for `{suite}': of {tests} tests run: {tests} passed, 0 failed. 100.0%");
        assert!(text.contains(&summary), "{suite}:\n{text}");
    }
    assert_eq!(SUITES.iter().map(|(_, tests)| tests).sum::<usize>(), 104);
    assert!(output.status.success());
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("WARNING")).collect();
    // The fragment of a URL never gets here, so it is not refused.
    assert!(warnings.iter().all(|line| line.contains("fragment")), "{warnings:#?}");
}
