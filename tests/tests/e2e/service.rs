//! The service: what systemd thinks of the unit, and what the server tells systemd.

use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rclonepool_tests::cli::Machine;
use rclonepool_tests::{built, repository};
use rustix::process::{Pid, Signal, kill_process};

const UNIT: &str = "packaging/rclonepool@.service";

/// `systemd-analyze` with these words; `None` where there is none.
fn analyze(words: &[&str], manual: &str) -> Option<(bool, String)> {
    let mut command = Command::new("systemd-analyze");
    let output = command.args(words).env("MANPATH", manual).env("SYSTEMD_COLORS", "0").output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

#[test]
fn the_unit_is_valid_and_tight() {
    let machine = Machine::new();
    machine.ok(&["man", "manual/man1"]);
    let program = built::rclonepool().display().to_string();
    let unit = repository::read(UNIT).replace("/usr/bin/rclonepool", &program);
    let unit = machine.file("rclonepool@ann.service", unit).display().to_string();
    let manual = machine.text("manual");
    let Some((is_valid, said)) = analyze(&["verify", &unit], &manual) else { return };
    assert!(is_valid && said.is_empty(), "{said}");
    let Some((is_tight, said)) = analyze(&["security", "--offline=true", "--threshold=15", &unit], &manual) else {
        return;
    };
    assert!(is_tight, "{said}");
    // The measure is one that can fail.
    let unit = repository::read(UNIT);
    let loose: Vec<&str> = unit.lines().filter(|line| !line.starts_with("Protect")).collect();
    let loose = loose.join("\n");
    let loose = machine.file("loose/rclonepool@ann.service", loose).display().to_string();
    let found = analyze(&["security", "--offline=true", "--threshold=15", &loose], &manual);
    assert!(found.is_some_and(|(is_tight, _)| !is_tight));
}

#[test]
fn the_unit_lets_rclone_keep_its_logins() {
    let unit = repository::read(UNIT);
    let bound = unit.lines().find_map(|line| line.strip_prefix("BindPaths=")).unwrap();
    for place in [".config/rclone", ".config/rclonepool", ".cache/rclonepool"] {
        assert!(bound.split(' ').any(|path| path == format!("-/home/%i/{place}")), "{place}");
    }
}

/// A server that runs under a supervisor.
struct Supervised(Child, UnixDatagram);

impl Supervised {
    fn start(machine: &Machine, socket: &str, listener: UnixDatagram) -> Self {
        listener.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut command = machine.command(&["serve", "--port", "0"]);
        let child = command.env("NOTIFY_SOCKET", socket).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self(child, listener)
    }

    fn told(&self) -> String {
        let mut buffer = [0; 4096];
        let n = self.1.recv(&mut buffer).expect("the server speaks");
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn systemd_is_told_how_the_server_is() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    let listener = UnixDatagram::bind(machine.path("notify")).unwrap();
    let mut server = Supervised::start(&machine, &machine.text("notify"), listener);
    let ready = server.told();
    let address = ready.strip_prefix("READY=1\nSTATUS=serving at http://127.0.0.1:").expect(&ready);
    let port: u16 = address.trim().parse().unwrap();
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("it is ready when it says so");
    server.signal(Signal::HUP);
    assert!(server.told().starts_with("RELOADING=1\n"));
    assert_eq!(server.told(), ready);
    server.signal(Signal::TERM);
    assert!(server.told().starts_with("STOPPING=1\n"));
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_socket_that_is_no_file_is_found_and_one_that_is_gone_does_no_harm() {
    use std::os::linux::net::SocketAddrExt;
    let machine = Machine::with_pool(2, "replication:2", "64K");
    let name = format!("rclonepool-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let listener = UnixDatagram::bind_addr(&address).unwrap();
    let server = Supervised::start(&machine, &format!("@{name}"), listener);
    assert!(server.told().starts_with("READY=1\n"));
    drop(server);
    let serving = rclonepool_tests::served::Serving::start(&machine, &["serve", "--port", "0"], 1);
    assert_eq!(serving.get("serve", "/.rclonepool/healthz", &[]), 200);
}
