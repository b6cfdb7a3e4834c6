//! Help, usage errors, completions: what a user reads first.

use rclonepool_tests::cli::Machine;

pub const COMMANDS: [&[&str]; 58] = [
    &[],
    &["init"],
    &["upload"],
    &["download"],
    &["ls"],
    &["cat"],
    &["stat"],
    &["mv"],
    &["delete"],
    &["mkdir"],
    &["status"],
    &["verify"],
    &["health"],
    &["balance-status"],
    &["rebalance"],
    &["rebuild"],
    &["repair"],
    &["trash"],
    &["trash", "list"],
    &["trash", "restore"],
    &["trash", "empty"],
    &["orphans"],
    &["gc"],
    &["remotes"],
    &["remotes", "list"],
    &["remotes", "add"],
    &["remotes", "remove"],
    &["remotes", "drain"],
    &["remotes", "replace"],
    &["plugins"],
    &["plugins", "list"],
    &["plugins", "enable"],
    &["plugins", "disable"],
    &["plugins", "load"],
    &["plugins", "info"],
    &["config"],
    &["config", "show"],
    &["config", "schema"],
    &["config", "validate"],
    &["config", "path"],
    &["recovery-sheet"],
    &["recover"],
    &["doctor"],
    &["serve"],
    &["api"],
    &["user"],
    &["user", "add"],
    &["user", "passwd"],
    &["user", "remove"],
    &["user", "list"],
    &["user", "token"],
    &["user", "token", "add"],
    &["user", "token", "list"],
    &["user", "token", "revoke"],
    &["torture"],
    &["completions"],
    &["man"],
    &["version"],
];

/// `INSTA_UPDATE=always` writes the snapshots anew.
#[test]
fn every_command_explains_itself() {
    let machine = Machine::new();
    for words in COMMANDS {
        let name = format!("help-{}", if words.is_empty() { "rclonepool".into() } else { words.join("-") });
        let help = machine.ok(&[words, &["-h"]].concat());
        insta::assert_snapshot!(name, help);
        assert!(machine.ok(&[words, &["--help"]].concat()).len() >= help.len(), "{words:?}");
    }
}

#[test]
fn no_command_is_left_out_of_this_test() {
    let help = Machine::new().ok(&["--help"]);
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names = commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    for name in names.map(|line| line.split_whitespace().next().unwrap()).filter(|name| *name != "help") {
        assert!(COMMANDS.contains(&[name].as_slice()), "{name} has no snapshot");
    }
}

#[test]
fn the_exit_codes_are_those_of_the_readme() {
    let help = Machine::new().ok(&["--help"]);
    let readme = rclonepool_tests::repository::read("README.md");
    let table = readme.split("### Exit codes").nth(1).unwrap().split("\n## ").next().unwrap();
    let mut codes = 0;
    for cell in table.lines().filter(|line| line.starts_with("| ")).flat_map(|line| line.split('|')) {
        if let Ok(code) = cell.trim().parse::<u8>() {
            codes += 1;
            assert!(help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))), "{code}");
        }
    }
    assert_eq!(codes, 16);
}

#[test]
fn usage_errors_have_code_2() {
    let machine = Machine::new();
    for words in [
        &["frobnicate"][..],
        &["upload", "only-one"],
        &["ls", "--no-such-option"],
        &["upload", "--parallel=0", "a", "/b"],
        &["cat", "--offset", "many", "/x"],
        &["cat", "relative"],
        &["cat", "/a/../b"],
        &["--quiet", "--verbose", "ls"],
        &["completions", "cobol"],
    ] {
        let error = machine.fails(2, words);
        assert!(error.contains("error:"), "{words:?}: {error}");
    }
    let error = machine.run(&["--json", "frobnicate"]).json_error();
    assert_eq!((error["kind"].as_str(), error["exit_code"].as_u64()), (Some("usage"), Some(2)));
}

#[test]
fn without_a_configuration_the_way_is_shown() {
    let machine = Machine::new();
    let error = machine.fails(7, &["ls"]);
    insta::assert_snapshot!("first-run", machine.stable(&error));
    let error = machine.fails(2, &["init"]);
    insta::assert_snapshot!("init-nobody-there", machine.stable(&error));
    let elsewhere = machine.text("elsewhere.json");
    for error in [machine.fails(7, &["--config", &elsewhere, "ls"]), {
        let mut command = machine.command(&["status"]);
        let output = command.env("RCLONEPOOL_CONFIG", &elsewhere).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    }] {
        assert!(error.contains("elsewhere.json"), "{error}");
    }
    let mut command = machine.command(&["config", "path"]);
    let output = command.env("XDG_CONFIG_HOME", machine.path("xdg")).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), machine.text("xdg/rclonepool/config.json"));
}

#[test]
fn the_words_of_the_documentation_are_understood() {
    // A flag that could take a value must not eat the file after it.
    let machine = Machine::with_pool(2, "none", "64K");
    machine.file("file.mkv", "film");
    machine.ok(&["upload", "--parallel", "file.mkv", "/backups/file.mkv"]);
    machine.ok(&["download", "--parallel", "/backups/file.mkv", "local.mkv"]);
    assert_eq!(machine.read("local.mkv"), b"film");
    machine.ok(&["upload", "--parallel=2", "--force", "file.mkv", "/backups/file.mkv"]);
    assert_eq!(machine.ok(&["ls", "/backups"]), "file.mkv\n");
    machine.ok(&["delete", "/backups/file.mkv"]);
    machine.ok(&["df"]);
}

#[test]
fn completions_are_made_for_every_shell() {
    let machine = Machine::new();
    for (shell, part) in [("bash", "complete -F"), ("zsh", "#compdef rclonepool"), ("fish", "complete -c rclonepool")] {
        let script = machine.ok(&["completions", shell]);
        assert!(script.contains(part) && script.contains("recovery-sheet"), "{shell}");
    }
    let bash = machine.file("completion.bash", machine.ok(&["completions", "bash"]));
    let checked = std::process::Command::new("bash").arg("-n").arg(bash).status().unwrap();
    assert!(checked.success());
}
