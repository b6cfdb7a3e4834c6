//! Keys of the servers.

use rclonepool_tests::cli::Machine;
use rclonepool_tests::free_port;
use rclonepool_tests::served::{Serving, basic};
use serde_json::{Value, json};

const HTML: (&str, &str) = ("Accept", "text/html");

fn machine() -> Machine {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.upload(b"hello", "/f");
    machine.set("enable_health_monitoring", false);
    machine
}

#[test]
fn hosts_and_ports_are_listened_on() {
    let machine = machine();
    let ports = [free_port(), free_port(), free_port()];
    machine.set("webdav_host", "localhost");
    machine.set("webdav_port", ports[0]);
    machine.set("api_server_port", ports[1]);
    machine.set("api_server_host", "127.0.0.2");
    machine.set("metrics_port", ports[2]);
    machine.set("metrics_host", "127.0.0.3");
    let alone = Serving::start(&machine, &["serve"], 1);
    assert!(alone.url("serve").ends_with(&format!(":{}", ports[0])), "{}", alone.url("serve"));
    assert_eq!(alone.ask("serve", "GET", "/f", &[], b"").body, "hello");
    drop(alone);
    machine.set("enable_api_server", true);
    machine.set("enable_metrics", true);
    let all = Serving::start(&machine, &["serve"], 3);
    assert_eq!(all.url("api"), format!("http://127.0.0.2:{}", ports[1]));
    assert_eq!(all.url("metrics"), format!("http://127.0.0.3:{}", ports[2]));
    assert_eq!((all.get("api", "/api/v1/status", &[]), all.get("metrics", "/metrics", &[])), (200, 200));
    let taken = machine.fails(23, &["serve"]);
    assert!(taken.contains("webdav_port"), "{taken}");
    assert_eq!(all.stop(), Some(0));
}

#[test]
fn users_sign_in_as_the_configuration_says() {
    let machine = machine();
    machine.set("webdav_auth_method", json!(["basic", "bearer"]));
    let added = machine.run_with_input(&["user", "add", "ann", "--password-stdin", "--quota", "1MiB"], b"geheim\n");
    assert_eq!(added.code, 0, "{added:?}");
    let token = machine.ok(&["user", "token", "add", "ann", "--read-only"]);
    let config = String::from_utf8(machine.read("home/.config/rclonepool/config.json")).unwrap();
    assert!(!config.contains("geheim") && !config.contains(token.trim()) && config.contains("$argon2id$"), "{config}");
    let serving = Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert_eq!(serving.get("serve", "/f", &[]), 401);
    let (right, bearer) = (basic("ann", "geheim"), format!("Bearer {}", token.trim()));
    let ann = ("Authorization", right.as_str());
    assert_eq!(serving.get("serve", "/f", &[ann]), 200);
    assert_eq!(serving.get("serve", "/f", &[("Authorization", &basic("ann", "wrong"))]), 401);
    assert_eq!(serving.get("serve", "/f", &[("X-API-Key", token.trim())]), 401, "not among the methods");
    assert_eq!(serving.ask("serve", "PUT", "/g", &[("Authorization", &bearer)], b"x").status, 403);
    let large = vec![b'x'; 2 << 20];
    assert_eq!(serving.ask("serve", "PUT", "/g", &[ann], &large).status, 507, "the quota of `users`");
    assert!(!serving.log().contains("geheim") && !serving.log().contains(token.trim()));
    assert_eq!(serving.stop(), Some(0));
}

#[test]
fn proxies_origins_and_base_path() {
    let machine = machine();
    machine.set("server_base_path", "/pool");
    machine.set("cors_origins", json!(["https://app.example"]));
    let serving = Serving::start(&machine, &["api", "--port", "0"], 1);
    assert_eq!(serving.get("api", "/pool/api/v1/status", &[]), 200);
    let answer = serving.ask("api", "GET", "/api/v1/status", &[("Origin", "https://app.example")], b"");
    assert!(answer.head.contains("access-control-allow-origin: https://app.example"), "{answer:?}");
    let other = serving.ask("api", "GET", "/api/v1/status", &[("Origin", "https://other.example")], b"");
    assert!(!other.head.contains("access-control-allow-origin"), "{other:?}");
    let sign_out = |serving: &Serving| {
        let head = serving.ask("api", "DELETE", "/api/v1/session", &[("X-Forwarded-Proto", "https")], b"").head;
        head.contains("; secure")
    };
    assert!(!sign_out(&serving), "nobody's word counts");
    drop(serving);
    machine.set("trusted_proxies", json!(["127.0.0.1"]));
    assert!(sign_out(&Serving::start(&machine, &["api", "--port", "0"], 1)));
}

#[test]
fn https_by_the_certificate_that_is_given() {
    let machine = machine();
    machine.set("enable_https", true);
    let fingerprint = |serving: &Serving| {
        serving.wait_for_log("the certificate's SHA-256 is");
        let log = serving.log();
        let line = log.lines().find(|line| line.contains("the certificate's SHA-256 is")).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        line["message"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
    };
    let own = Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert!(own.url("serve").starts_with("https://"), "{}", own.url("serve"));
    assert_ne!(own.get("serve", "/f", &[]), 200, "plain text is no way in");
    let first = fingerprint(&own);
    drop(own);
    let made = machine.path("home/.config/rclonepool/tls");
    std::fs::rename(&made, machine.path("given")).unwrap();
    machine.set("ssl_cert_file", machine.text("given/cert.pem"));
    machine.set("ssl_key_file", machine.text("given/key.pem"));
    let given = Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert_eq!(fingerprint(&given), first);
    drop(given);
    machine.set("ssl_key_file", machine.text("given/cert.pem"));
    assert!(machine.fails(7, &["serve", "--port", "0"]).contains("ssl_key_file"));
}

#[test]
fn enable_webui_offers_a_page() {
    let machine = machine();
    let serving = Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert!(serving.ask("serve", "GET", "/", &[HTML], b"").body.contains("<title>rclonepool</title>"));
    drop(serving);
    machine.set("enable_webui", false);
    let serving = Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert!(!serving.ask("serve", "GET", "/", &[HTML], b"").body.contains("<title>rclonepool</title>"));
}

#[test]
fn api_local_roots_may_be_read() {
    let machine = machine();
    let body = json!({"local_path": machine.file("import/a", b"new"), "remote_path": "/a"}).to_string();
    let ask = |serving: &Serving| {
        let kind = [("Content-Type", "application/json")];
        serving.ask("api", "POST", "/api/v1/files?wait=30", &kind, body.as_bytes()).status
    };
    assert_eq!(ask(&Serving::start(&machine, &["api", "--port", "0"], 1)), 403);
    machine.set("api_local_roots", json!([machine.text("import")]));
    assert_eq!(ask(&Serving::start(&machine, &["api", "--port", "0"], 1)), 200);
    assert_eq!(machine.cat("/a"), b"new");
}

#[test]
fn sync_interval_shows_what_others_write() {
    let machine = machine();
    machine.set("sync_interval", 1);
    let serving = Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert_eq!(serving.get("serve", "/other", &[]), 404);
    // As another machine: with an index of its own.
    let (file, disk) = (machine.file("new", b"new"), machine.path("home/.cache"));
    let mut command = machine.command(&["upload", file.to_str().unwrap(), "/other"]);
    let output = command.env("XDG_CACHE_HOME", disk.join("another")).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let seen = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        serving.get("serve", "/other", &[]) == 200
    });
    assert!(seen);
}

#[test]
fn shutdown_timeout_bounds_the_end() {
    use std::io::Write;
    let machine = machine();
    machine.set("shutdown_timeout", 1);
    let serving = Serving::start(&machine, &["serve", "--port", "0"], 1);
    let url = serving.url("serve");
    let mut stream = std::net::TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let head = "PUT /half HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(&[head.as_bytes(), &[1; 200_000]].concat()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let since = std::time::Instant::now();
    assert_eq!(serving.stop(), Some(0));
    let took = since.elapsed().as_secs_f64();
    assert!((0.8..15.0).contains(&took), "30 s is the default: {took}");
    assert!(!machine.ok(&["ls", "/"]).contains("half"), "nothing half-written");
}
