//! The remotes the other suites stand on: each kind stores, gives back and vanishes as a real one does.

use rclonepool_tests::rclone::{self, Config, Server};
use rclonepool_tests::scratch;

const CONTENT: &[u8] = b"what goes in comes out\n";

/// Copies a file to `remote` and reads it back.
fn round_trip(config: &Config, remote: &str) {
    let scratch = scratch();
    let file = scratch.path().join("plain.txt");
    std::fs::write(&file, CONTENT).unwrap();
    let stored = format!("{remote}/folder/plain.txt");
    config.run(["copyto".as_ref(), file.as_os_str(), stored.as_ref()]);
    assert_eq!(config.run(["cat", &stored]), CONTENT, "{remote}");
}

#[test]
fn every_kind_of_remote_round_trips() {
    let scratch = scratch();
    let disk = |name: &str| {
        let path = scratch.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let (plain, wrapped, dav_root, s3_root) = (disk("plain"), disk("wrapped"), disk("dav"), disk("s3"));
    std::fs::create_dir(s3_root.join("bucket")).unwrap();
    let (dav, s3) = (Server::webdav(&dav_root), Server::s3(&s3_root));

    let mut config = Config::new(scratch.path());
    config.directory("disk1", &plain);
    config.crypt("secret", wrapped.to_str().unwrap());
    config.webdav("dav", &dav);
    config.s3("s3", &s3);

    for remote in ["disk1:", "secret:", "dav:", "s3:bucket"] {
        round_trip(&config, remote);
    }
    assert_eq!(std::fs::read(plain.join("folder/plain.txt")).unwrap(), CONTENT);
    assert_eq!(std::fs::read(dav_root.join("folder/plain.txt")).unwrap(), CONTENT);
    assert_eq!(std::fs::read(s3_root.join("bucket/folder/plain.txt")).unwrap(), CONTENT);
    let names: Vec<_> = std::fs::read_dir(&wrapped).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.len() == 1 && names[0] != "folder", "a crypt remote hides names: {names:?}");

    config.forget("dav");
    let listed = String::from_utf8(config.run(["listremotes"])).unwrap();
    assert_eq!(listed, "disk1:\nsecret:\ns3:\n");
}

#[test]
fn a_server_dies_and_comes_back_at_its_address() {
    let scratch = scratch();
    let mut config = Config::new(scratch.path());
    let mut server = Server::webdav(scratch.path());
    let address = server.address().to_owned();
    config.webdav("dav", &server);
    round_trip(&config, "dav:");

    server.kill();
    assert!(std::net::TcpStream::connect(&address).is_err(), "nothing listens after the kill");
    let server = Server::webdav_at(scratch.path(), &address);
    assert_eq!(server.address(), address, "{}", server.log());
    assert_eq!(config.run(["cat", "dav:folder/plain.txt"]), CONTENT);

    let pid = server.pid();
    drop(server);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "dropping the server ends it");
}

#[test]
fn rclone_is_new_enough_for_the_tests() {
    let version = String::from_utf8(rclone::run(["version"])).unwrap();
    let number = version.split_whitespace().nth(1).unwrap().trim_start_matches('v').to_owned();
    let minor: u32 = number.split('.').nth(1).unwrap().parse().unwrap();
    assert!(number.starts_with("1.") && minor >= 65, "rclone {number}: `serve s3` came with 1.65");
}
