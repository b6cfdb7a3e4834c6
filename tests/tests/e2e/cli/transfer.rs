//! Upload and download: sizes, streams, trees, what is skipped, what is refused.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use rclonepool_tests::cli::{Machine, content};
use rustix::process::Signal;

use super::interrupt::{run_until, signal};

const CHUNK: usize = 65_536;

#[test]
fn every_size_comes_back() {
    let machine = Machine::with_pool(4, "parity:3+1", "64K");
    for size in [0, 1, 4096, 4097, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, 5 * CHUNK + 7] {
        let bytes = content(size as u64, size);
        machine.file(&format!("in/{size}"), &bytes);
        let said = machine.run_with_input(&["upload", "-", &format!("/stream/{size}")], &bytes);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(machine.cat(&format!("/stream/{size}")), bytes);
    }
    machine.ok(&["upload", "in", "/files"]);
    machine.ok(&["download", "/files", "out"]);
    assert_eq!(machine.files_below("in"), machine.files_below("out"));
    for name in machine.files_below("in") {
        assert_eq!(machine.read(&format!("in/{name}")), machine.read(&format!("out/{name}")), "{name}");
    }
    let whole = machine.command(&["download", "/files/327680", "-"]).output().unwrap();
    assert_eq!(whole.stdout, machine.read("in/327680"));
}

#[test]
fn targets_mean_what_they_say() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("f", "f");
    machine.file("g", "g");
    machine.file("dir/inner", "inner");
    machine.ok(&["upload", "f", "/x"]);
    machine.ok(&["upload", "f", "/d/"]);
    machine.ok(&["upload", "f", "/"]);
    machine.ok(&["upload", "dir", "/many"]);
    machine.ok(&["upload", "f", "g", "dir", "/all"]);
    machine.ok(&["upload", "dir/.", "/dot/"]);
    let all = "all/dir/inner\nall/f\nall/g\nd/f\ndot/inner\nf\nmany/inner\nx\n";
    assert_eq!(machine.ok(&["ls", "-r"]), all);

    machine.ok(&["download", "/x", "y"]);
    machine.ok(&["download", "/x"]);
    machine.directory("there");
    machine.ok(&["download", "/x", "there"]);
    machine.ok(&["download", "/x", "new/"]);
    machine.ok(&["download", "/all", "back"]);
    for name in ["y", "x", "there/x", "new/x", "back/f"] {
        assert_eq!(machine.read(name), b"f", "{name}");
    }
    assert_eq!(machine.read("back/dir/inner"), b"inner");
    assert!(machine.fails(2, &["upload", "f", "-", "/z"]).contains("standard input"));
    assert!(machine.fails(2, &["upload", "-", "/z/"]).contains("no name"));
    assert!(machine.fails(4, &["upload", "nothing", "/z"]).contains("nothing"));
    assert!(machine.fails(2, &["cat", "/all"]).contains("is a directory"));
    assert!(machine.fails(2, &["download", "/all", "-"]).contains("is a directory"));
    assert!(machine.fails(2, &["download", "/"]).contains("say where to"));
}

#[test]
fn times_modes_links_and_special_files() {
    let machine = Machine::with_pool(1, "none", "64K");
    let script = machine.file("in/run.sh", "#!/bin/sh\n");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let old = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    std::fs::File::options().write(true).open(machine.file("in/old", "old")).unwrap().set_modified(old).unwrap();
    std::os::unix::fs::symlink("old", machine.path("in/link")).unwrap();
    assert_eq!(machine.shell("mkfifo in/pipe").code, 0);
    machine.directory("in/empty/nested");

    let said = machine.ok(&["upload", "in", "/skip"]);
    assert!(said.contains("2 left out (links and special files)"), "{said}");
    machine.ok(&["upload", "--links", "in", "/links"]);
    machine.ok(&["upload", "--copy-links", "in", "/copies"]);
    assert_eq!(machine.ok(&["ls", "-r", "/skip"]), "empty/nested/\nold\nrun.sh\n");
    assert_eq!(machine.cat("/copies/link"), b"old");
    let long = machine.ok(&["ls", "-l", "/links"]);
    assert!(
        long.contains("link -> old") && long.lines().any(|l| l.starts_with('x') && l.ends_with("run.sh")),
        "{long}"
    );
    assert!(long.contains("2001-09-09 01:46:40  old"), "{long}");

    machine.ok(&["download", "/links", "out"]);
    assert_eq!(std::fs::read_link(machine.path("out/link")).unwrap().to_str(), Some("old"));
    assert_eq!(machine.path("out/old").metadata().unwrap().modified().unwrap(), old);
    assert_eq!(machine.path("out/run.sh").metadata().unwrap().permissions().mode() & 0o111, 0o111);
    assert_eq!(machine.path("out/old").metadata().unwrap().permissions().mode() & 0o111, 0);
    assert!(machine.path("out/empty/nested").is_dir());
    // A pipe given by name is read as a stream.
    let piped = machine.shell("mkfifo p; echo piped >p & $R upload p /piped; wait");
    assert_eq!((piped.code, machine.cat("/piped")), (0, b"piped\n".to_vec()), "{piped:?}");
}

#[test]
fn what_is_there_already_is_skipped() {
    let machine = Machine::with_pool(2, "none", "64K");
    let bytes = content(1, 200_000);
    let file = machine.file("f", &bytes);
    let report = |words: &[&str]| {
        let summary = machine.summary(&[&["upload"], words, &["f", "/f"]].concat());
        (summary["files"].as_u64().unwrap(), summary["unchanged"].as_u64().unwrap())
    };
    assert_eq!(report(&[]), (1, 0));
    assert_eq!(report(&[]), (0, 1));
    assert_eq!(report(&["--checksum"]), (0, 1));
    assert_eq!(report(&["--force"]), (1, 0));
    // The same content under a new time.
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(report(&[]), (0, 1));
    assert!(machine.ok(&["ls", "-l", "/f"]).contains("1970-01-01 00:00:00"));
    // Another content of the same size and time: only hashing finds it.
    let mut other = bytes.clone();
    other[150_000] ^= 1;
    machine.file("f", &other);
    std::fs::File::options().write(true).open(&file).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(report(&[]), (0, 1));
    assert_eq!(report(&["--checksum"]), (1, 0));
    assert_eq!(machine.cat("/f"), other);

    machine.ok(&["download", "/f", "g"]);
    assert!(machine.ok(&["download", "/f", "g"]).contains("1 file unchanged"));
    machine.file("g", "overwritten");
    machine.ok(&["download", "/f", "g"]);
    assert_eq!(machine.read("g"), other);
}

#[test]
fn filters_choose_files() {
    let machine = Machine::with_pool(1, "none", "64K");
    for name in ["a.jpg", "b.txt", "sub/c.jpg", "sub/d.tmp", "cache/e.jpg"] {
        machine.file(&format!("in/{name}"), name);
    }
    machine.ok(&["upload", "--include", "*.jpg", "--exclude", "cache", "in", "/jpg"]);
    assert_eq!(machine.ok(&["ls", "-r", "/jpg"]), "a.jpg\nsub/c.jpg\n");
    machine.ok(&["upload", "in", "/all"]);
    machine.ok(&["download", "--include", "/sub/*", "/all", "out"]);
    assert_eq!(machine.files_below("out"), ["sub/c.jpg", "sub/d.tmp"]);
    assert!(machine.fails(2, &["upload", "--include", "[", "in", "/x"]).contains("pattern"));
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let machine = Machine::with_pool(4, "parity:3+1", "1M");
    machine.file("in/big", content(1, 20 << 20));
    machine.file("in/small", "small");
    let said = machine.ok(&["upload", "--dry-run", "in", "/in"]);
    assert!(said.contains("20.0 MiB  /in/big  would be uploaded"), "{said}");
    assert!(said.contains("would upload 2 files, 20.0 MiB; on the remotes 26.7 MiB (parity:3+1)"), "{said}");
    assert!(said.contains("it fits:") && said.contains("not known before a first upload"), "{said}");
    assert_eq!(machine.ok(&["ls"]), "");
    assert_eq!(machine.files_below("disk1").iter().filter(|f| f.contains("_data/")).count(), 0);

    machine.ok(&["upload", "in", "/in"]);
    let summary = machine.summary(&["upload", "-n", "--force", "in", "/in"]);
    assert_eq!((summary["fits"].as_bool(), summary["files"].as_u64()), (Some(true), Some(2)));
    assert!(summary["seconds_estimated"].as_f64().unwrap() > 0.0, "the last upload gave a speed: {summary}");
    machine.configure(|map| {
        let quotas: serde_json::Map<_, _> = (1..=4).map(|i| (machine.text(&format!("disk{i}")), "8M".into())).collect();
        map.insert("remote_quotas".into(), quotas.into());
    });
    assert!(machine.fails(24, &["upload", "-n", "--force", "in", "/again"]).contains("does not fit"));
    assert!(machine.ok(&["download", "-n", "/in", "out"]).contains("would write 2 files"));
    assert!(!machine.path("out").exists());
}

#[test]
fn directories_share_commits() {
    let machine = Machine::with_pool(1, "none", "64K");
    for i in 0..300 {
        machine.file(&format!("many/f{i}"), format!("{i}"));
    }
    machine.ok(&["upload", "many", "/many"]);
    let commits = machine.files_below("disk1/rclonepool_manifests/commits").len();
    assert!(commits <= 4, "{commits} commits for 300 files");
    let files: Vec<String> = (0..300).map(|i| format!("many/f{i}")).collect();
    let words: Vec<&str> = ["upload"].into_iter().chain(files.iter().map(String::as_str)).chain(["/named/"]).collect();
    machine.ok(&words);
    assert_eq!(machine.summary(&["ls", "/named"])["files"], 300);
    assert!(machine.files_below("disk1/rclonepool_manifests/commits").len() <= commits + 3);
}

#[test]
fn a_source_that_changes_while_it_is_read_is_not_stored() {
    let machine = Machine::with_pool(1, "none", "1M");
    let file = machine.file("growing", content(1, 60 << 20));
    let mut command = machine.command(&["upload", "--parallel=1", "growing", "/growing"]);
    let child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    run_until(&child, || !machine.files_below("disk1/rclonepool_data").is_empty());
    use std::io::Write;
    std::fs::File::options().append(true).open(file).unwrap().write_all(b"more").unwrap();
    signal(&child, Signal::CONT);
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(5), "{error}");
    assert!(error.contains("changed while it was read; it was not stored"), "{error}");
    assert_eq!(machine.ok(&["ls"]), "");
}
