//! `serve`, `api` and `user`, as an administrator has them.

use rclonepool_tests::cli::Machine;
use rclonepool_tests::served::{Serving, basic};
use rustix::process::{Pid, Signal, kill_process};

fn machine() -> Machine {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.set("enable_health_monitoring", false);
    machine
}

#[test]
fn serve_offers_files_rest_and_a_page_on_one_port() {
    let machine = machine();
    machine.upload(b"film", "/movies/movie.mkv");
    let serving = Serving::start(&machine, &["serve", "--host", "127.0.0.1", "--port", "0"], 1);
    assert_eq!(serving.ask("serve", "GET", "/movies/movie.mkv", &[], b"").body, "film");
    let listed = serving.ask("serve", "PROPFIND", "/movies/", &[("Depth", "1")], b"");
    assert!(listed.status == 207 && listed.body.contains("/movies/movie.mkv"), "{listed:?}");
    assert_eq!(serving.ask("serve", "PUT", "/new", &[], b"new").status, 201);
    assert_eq!(serving.get("serve", "/.rclonepool/api/v1/status", &[]), 200);
    assert_eq!(serving.ask("serve", "PUT", "/.rclonepool/x", &[], b"x").status / 100, 4);
    assert_eq!(serving.stop(), Some(0), "SIGTERM is how a server ends");
    assert_eq!(machine.cat("/new"), b"new");
}

#[test]
fn what_is_open_to_everybody_is_said_loudly() {
    let machine = machine();
    let serving = Serving::start(&machine, &["serve", "--host", "0.0.0.0", "--port", "0", "--metrics"], 2);
    serving.wait_for_log("ANYBODY");
    drop(serving);
    let serving = Serving::start(&machine, &["serve", "--host", "0.0.0.0", "--port", "0", "--auth", "basic"], 1);
    serving.wait_for_log("nobody can sign in");
    assert!(!serving.log().contains("ANYBODY"), "{}", serving.log());
    assert_eq!(serving.get("serve", "/f", &[]), 401);
}

#[test]
fn a_hangup_takes_new_users() {
    let machine = machine();
    machine.run_with_input(&["user", "add", "ann", "--password-stdin"], b"one");
    let serving = Serving::start(&machine, &["api", "--port", "0", "--auth", "basic,api-key"], 1);
    let status = |password: &str| serving.get("api", "/api/v1/me", &[("Authorization", &basic("ann", password))]);
    assert_eq!(status("one"), 200);
    let changed = machine.run_with_input(&["user", "passwd", "ann", "--password-stdin"], b"two");
    assert_eq!(changed.code, 0, "{changed:?}");
    let token = machine.ok(&["user", "token", "add", "ann", "--label", "nas", "--expires", "1d"]);
    kill_process(Pid::from_child(&serving.child), Signal::HUP).unwrap();
    serving.wait_for_log("the configuration was read again");
    assert_eq!((status("one"), status("two")), (401, 200));
    assert_eq!(serving.get("api", "/api/v1/me", &[("X-API-Key", token.trim())]), 200, "--auth still holds");
    std::fs::write(machine.config_path(), "{").unwrap();
    kill_process(Pid::from_child(&serving.child), Signal::HUP).unwrap();
    serving.wait_for_log("the configuration stays as it was");
    assert_eq!(status("two"), 200);
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn a_hangup_changes_the_level_of_the_log() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.set("log_level", "error");
    let serving = Serving::start(&machine, &["api", "--port", "0"], 1);
    std::fs::rename(machine.path("disk1"), machine.path("away")).unwrap();
    let look = || assert_eq!(serving.ask("api", "POST", "/api/v1/sync", &[], b"").status, 200);
    look();
    assert!(!serving.log().contains("trying again"), "{}", serving.log());
    machine.set("log_level", "debug");
    kill_process(Pid::from_child(&serving.child), Signal::HUP).unwrap();
    serving.wait_for_log("the configuration was read again");
    look();
    serving.wait_for_log("trying again");
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn users_come_and_go_in_the_configuration() {
    let machine = machine();
    assert!(machine.fails(2, &["user", "add", "ann"]).contains("--password-stdin"));
    machine.ok(&["user", "add", "backup", "--no-password", "--quota", "1GiB", "--read-only"]);
    machine.run_with_input(&["user", "add", "ann", "--password-stdin"], b"secret");
    assert_eq!(machine.run_with_input(&["user", "add", "ann", "--password-stdin"], b"x").code, 6);
    machine.fails(7, &["user", "add", "a:b", "--no-password"]);
    let token = machine.summary(&["user", "token", "add", "backup", "--label", "nas"]);
    let id = token["id"].as_str().unwrap();
    assert!(token["token"].as_str().unwrap().starts_with("rp_"));
    let users = machine.summary(&["user", "list"]);
    assert_eq!(users["users"][1]["name"], "backup");
    assert_eq!((&users["users"][1]["quota"], &users["users"][1]["tokens"]), (&(1u64 << 30).into(), &1.into()));
    assert!(machine.ok(&["user", "list"]).contains("ann"));
    assert!(machine.ok(&["user", "token", "list"]).contains("nas"));
    machine.ok(&["user", "token", "revoke", id]);
    machine.fails(4, &["user", "token", "revoke", id]);
    machine.ok(&["user", "remove", "backup"]);
    machine.fails(4, &["user", "remove", "backup"]);
    let shown = machine.ok(&["config", "show"]);
    assert!(!shown.contains("argon2id"), "{shown}");
    machine.fails(2, &["serve", "--auth", "none,basic"]);
}
