//! The everyday commands over plain directories: what goes in, is seen, is moved, comes out, goes away.

use rclonepool_tests::cli::{Machine, content};

fn stored(machine: &Machine) -> u64 {
    machine.summary(&["status"])["stored"].as_u64().unwrap()
}

#[test]
fn a_day_in_the_life_of_a_pool() {
    let machine = Machine::with_pool(4, "parity:3+1", "128K");
    let (film, note) = (content(1, 700_000), b"remember the milk\n".to_vec());
    machine.file("film.mkv", &film);
    machine.file("docs/note.txt", &note);
    machine.file("docs/sub/deep.txt", "deep");
    machine.directory("docs/empty");

    let said = machine.ok(&["upload", "film.mkv", "/movies/"]);
    assert!(said.starts_with("/movies: uploaded 1 file, 683.6 KiB in "), "{said}");
    let said = machine.ok(&["upload", "docs", "/documents"]);
    assert!(said.contains("uploaded 3 files"), "two files and an empty directory: {said}");

    assert_eq!(machine.ok(&["ls"]), "documents/\nmovies/\n");
    assert_eq!(machine.ok(&["ls", "/documents"]), "empty/\nnote.txt\nsub/\n");
    assert_eq!(
        machine.ok(&["ls", "-r", "/"]),
        "documents/empty/\ndocuments/note.txt\ndocuments/sub/deep.txt\nmovies/film.mkv\n"
    );
    assert_eq!(machine.ok(&["ls", "/documents/note.txt"]), "/documents/note.txt\n");
    let long = machine.ok(&["ls", "-l", "/movies"]);
    assert!(long.starts_with("-          700000  20") && long.ends_with("  film.mkv\n"), "{long}");

    assert_eq!(machine.cat("/movies/film.mkv"), film);
    assert_eq!(machine.cat("/documents/note.txt"), note);
    let part = machine.command(&["cat", "--offset", "128K", "--count", "1K", "/movies/film.mkv"]).output().unwrap();
    assert_eq!(part.stdout, film[131_072..132_096]);
    let both = machine.command(&["cat", "/documents/note.txt", "/documents/sub/deep.txt"]).output().unwrap();
    assert_eq!(both.stdout, b"remember the milk\ndeep");

    machine.ok(&["mv", "/movies/film.mkv", "/documents/sub/"]);
    machine.ok(&["mv", "/documents/sub", "/archive"]);
    machine.ok(&["mkdir", "-p", "/a/b/c"]);
    assert_eq!(
        machine.ok(&["ls", "-r"]),
        "a/b/c/\narchive/deep.txt\narchive/film.mkv\ndocuments/empty/\ndocuments/note.txt\n"
    );
    machine.ok(&["download", "/archive", "back"]);
    assert_eq!(machine.read("back/film.mkv"), film);
    assert_eq!(machine.files_below("back"), ["deep.txt", "film.mkv"]);

    assert_eq!(
        machine.ok(&["delete", "/documents/note.txt", "/a/b/c"]),
        "deleted /documents/note.txt\ndeleted /a/b/c\n"
    );
    machine.fails(2, &["delete", "/archive"]);
    assert_eq!(machine.ok(&["rm", "-r", "/archive"]), "deleted /archive (2 entries)\n");
    assert_eq!(machine.ok(&["ls", "-r"]), "documents/empty/\n");
    assert!(stored(&machine) > 0, "space is collected later");
}

#[test]
fn the_status_says_what_fits_and_what_may_be_lost() {
    let machine = Machine::with_pool(4, "parity:3+1", "64K");
    machine.configure(|map| {
        let quotas: serde_json::Map<_, _> = (1..=4).map(|i| (machine.text(&format!("disk{i}")), "1M".into())).collect();
        map.insert("remote_quotas".into(), quotas.into());
    });
    machine.upload(content(1, 300_000), "/x");
    let status = machine.ok(&["status"]);
    let (head, table) = status.split_once("\n\n").unwrap();
    insta::assert_snapshot!("status", machine.stable(head));
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["REMOTE", "USED", "FREE", "QUOTA", "SHARDS", "STATE"]);
    let disk1 = machine.text("disk1");
    assert!(
        rows.len() == 5 && rows[1][0] == disk1 && rows[1].ends_with(&["1.0", "MiB", rows[1][7], "online"]),
        "{table}"
    );
    let summary = machine.summary(&["status"]);
    assert_eq!((summary["tolerated"].as_u64(), summary["files"].as_u64()), (Some(1), Some(1)));
    assert_eq!(summary["bytes"], 300_000);
    let free = summary["free"].as_u64().unwrap();
    // 4 MiB of quota less what is there, three quarters of it for data.
    assert_eq!(free, (4 * (1 << 20) - summary["stored"].as_u64().unwrap()) * 3 / 4);
    machine.ok(&["status", "--fits", "1M"]);
    assert!(machine.fails(24, &["status", "--fits", "3M"]).contains("do not fit"));

    std::fs::remove_dir_all(machine.path("disk2")).unwrap();
    let status = machine.ok(&["status"]);
    assert!(status.contains("any 1 of the 4 remotes may be lost; 1 offline now, so no further one"), "{status}");
    assert!(status.contains("OFFLINE: "), "{status}");
}

#[test]
fn a_manifest_is_printed_as_json() {
    let machine = Machine::with_pool(3, "parity:2+1", "64K");
    machine.upload(content(3, 100_000), "/f");
    machine.upload("tiny", "/d/t");
    let stat: serde_json::Value = serde_json::from_str(&machine.ok(&["stat", "/f"])).unwrap();
    assert_eq!(stat["entry"]["path"], "/f");
    assert_eq!(stat["chunks"].as_array().unwrap().len(), 2);
    for shard in stat["chunks"][0]["shards"].as_array().unwrap() {
        let object = machine.path(shard["remote"].as_str().unwrap()).join(shard["object"].as_str().unwrap());
        assert_eq!(object.metadata().unwrap().len(), shard["size"].as_u64().unwrap(), "{shard}");
    }
    let directory: serde_json::Value = serde_json::from_str(&machine.ok(&["stat", "/d"])).unwrap();
    assert_eq!(directory["directory"]["files"], 1);
    assert!(machine.fails(4, &["stat", "/nothing"]).contains("no such file"));
}

#[test]
fn patterns_are_understood_where_names_are_not_meant() {
    let machine = Machine::with_pool(1, "none", "64K");
    for name in ["a.jpg", "b.jpg", "c.png", "d[1].jpg", "2024/x.jpg", "2024/05/y.jpg"] {
        machine.file(&format!("photos/{name}"), name);
    }
    machine.ok(&["upload", "photos", "/p"]);
    let ls = |pattern: &str| machine.ok(&["ls", pattern]).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(ls("/p/*.jpg"), ["/p/a.jpg", "/p/b.jpg", "/p/d[1].jpg"]);
    assert_eq!(ls("/p/{a,c}.*"), ["/p/a.jpg", "/p/c.png"]);
    assert_eq!(ls("/p/[a-b].jpg"), ["/p/a.jpg", "/p/b.jpg"]);
    assert_eq!(ls("/p/20*"), ["/p/2024/"]);
    assert_eq!(ls("/*/2024/*/y.jpg"), ["/p/2024/05/y.jpg"]);
    assert_eq!(ls("/p/**/*.jpg"), ["/p/2024/05/y.jpg", "/p/2024/x.jpg", "/p/a.jpg", "/p/b.jpg", "/p/d[1].jpg"]);
    assert_eq!(ls("/p/d[1].jpg"), ["/p/d[1].jpg"], "a name that is there is no pattern");
    assert_eq!(machine.ok(&["ls", "-r", "/p/20*"]), "/p/2024/\n/p/2024/05/y.jpg\n/p/2024/x.jpg\n");
    assert!(machine.fails(4, &["ls", "/p/*.gif"]).contains("nothing in the pool matches"));
    assert!(machine.fails(2, &["ls", "/p/[z"]).contains("pattern"));
    machine.fails(3, &["ls", "/nothing"]);
}

#[test]
fn deleting_everything_needs_a_yes() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("x", "/x");
    let error = machine.fails(2, &["delete", "-r", "/"]);
    assert!(error.contains("Delete everything") && error.contains("--yes"), "{error}");
    assert_eq!(machine.ok(&["ls"]), "x\n");
    let shown = machine.on_terminal(80, &["delete", "-r", "/"], &[("[y/N]", "n\n")]);
    assert_eq!(shown.code, 130, "{shown:?}");
    assert_eq!(machine.ok(&["ls"]), "x\n");
    machine.ok(&["delete", "-r", "/", "--yes"]);
    assert_eq!(machine.ok(&["ls"]), "");
}

#[test]
fn some_of_several_failing_is_said_and_has_its_code() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("x", "/x");
    machine.upload("y", "/y");
    let error = machine.fails(26, &["delete", "/x", "/nothing", "/y"]);
    assert!(error.contains("/nothing: no such file") && error.contains("1 of 3 paths failed"), "{error}");
    assert_eq!(machine.ok(&["ls"]), "", "the rest went on");
}

#[test]
fn moving_over_something_is_refused_or_forced() {
    let machine = Machine::with_pool(1, "none", "64K");
    for (name, text) in [("/a", "a"), ("/b", "b"), ("/d/x", "x")] {
        machine.upload(text, name);
    }
    assert!(machine.fails(6, &["mv", "/a", "/b"]).contains("--force"));
    assert!(machine.fails(6, &["mv", "/a", "/d"]).contains("write / at its end"));
    assert!(machine.fails(2, &["mv", "/d", "/d/e"]).contains("cannot be moved"));
    assert!(machine.fails(6, &["mv", "/a", "/b/c"]).contains("is a file"));
    machine.fails(4, &["mv", "/nothing", "/e"]);
    machine.fails(2, &["mv", "/a", "/b", "/c"]);
    machine.ok(&["mv", "--force", "/a", "/b"]);
    assert_eq!(machine.cat("/b"), b"a");
    machine.ok(&["mv", "/b", "/d/x", "/new/"]);
    assert_eq!(machine.ok(&["ls", "-r"]), "new/b\nnew/x\n");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let machine = Machine::with_pool(1, "none", "1M");
    machine.upload(content(1, 3_000_000), "/big");
    for i in 0..30 {
        machine.file(&format!("many/{i:0200}"), "");
    }
    machine.ok(&["upload", "many", "/many"]);
    for command in ["cat /big", "ls -l /many"] {
        let script = format!("{{ $R {command}; echo \"code $?\" >&2; }} | head -c 1 >/dev/null");
        let outcome = machine.shell(&script);
        assert_eq!(outcome.stderr, "code 0\n", "{command}");
    }
    let full = machine.shell("$R cat /big >/dev/full");
    assert_eq!(full.code, 24, "{full:?}");
}
