//! The REST API does what its description says: no bug, no answer that is not described.

use std::path::PathBuf;
use std::process::Command;

use rclonepool_tests::cli::Machine;
use rclonepool_tests::repository;
use rclonepool_tests::served::Serving;

fn schemathesis() -> PathBuf {
    let given = std::env::var_os("RCLONEPOOL_TEST_SCHEMATHESIS").map(PathBuf::from);
    given.unwrap_or_else(|| repository::root().join(".venv/bin/schemathesis"))
}

#[test]
fn requests_of_every_kind_get_described_answers() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.set("enable_health_monitoring", false);
    machine.upload(b"film", "/backups/file.mkv");
    let serving = Serving::start(&machine, &["api", "--port", "0"], 1);
    let url = format!("{}/api/v1/openapi.json", serving.url("api"));
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance";
    let mut command = Command::new(schemathesis());
    command.args(["run", &url, "--checks", checks, "--phases", "examples,coverage,fuzzing", "--max-examples", "8"]);
    command.args(["--seed", "1", "--generation-database", "none", "--suppress-health-check", "all", "--no-color"]);
    // Remotes come and go only where there is rclone to name them; 503 and 501 say so.
    command.args(["--exclude-path-regex", "remotes|session"]).current_dir(machine.path(""));
    let output = command.output().unwrap_or_else(|e| panic!("cannot run schemathesis: {e}; run scripts/setup"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", serving.log());
    assert_eq!(serving.get("api", "/healthz", &[]), 200);
    assert_eq!(serving.stop(), Some(0));
}
