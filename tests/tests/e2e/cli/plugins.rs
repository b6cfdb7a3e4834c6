//! Plugins from the command line: as the feature list prints it, and what becomes of data without them.

use std::path::Path;

use rclonepool_tests::cli::{Machine, content};
use rclonepool_tests::{built, repository};

/// As the feature list has it.
const SNIPPET: &str = r#"
from plugin_system import BalancerPlugin, PluginMetadata, PluginType

class CustomBalancerPlugin(BalancerPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="custom_balancer",
            version="1.0.0",
            author="Your Name",
            description="Custom balancing strategy",
            plugin_type=PluginType.BALANCER
        )
    
    def initialize(self, config):
        self.config = config
    
    def select_remote(self, remotes, chunk_size):
        # Your custom logic here
        return remotes[0]["name"]
"#;

fn shards(machine: &Machine, disk: usize) -> usize {
    let below = format!("disk{disk}/rclonepool_data");
    if machine.path(&below).exists() { machine.files_below(&below).len() } else { 0 }
}

/// A copy of a file of examples/plugins.
fn example(machine: &Machine, name: &str) -> String {
    machine.file(name, repository::read(format!("examples/plugins/{name}")));
    machine.text(name)
}

#[test]
fn the_commands_of_the_feature_list() {
    let machine = Machine::with_pool(3, "none", "64K");
    machine.file("plugin.py", SNIPPET);
    let listed = machine.ok(&["plugins", "list"]);
    for built_in in ["balancer:round_robin_least_used", "chunker:fastcdc", "compression:zstd", "storage_backend:rclone"]
    {
        assert!(listed.lines().any(|line| line.starts_with(built_in) && line.ends_with("built in")), "{listed}");
    }
    let said = machine.ok(&["plugins", "load", "plugin.py"]);
    assert!(said.contains("balancer:custom_balancer 1.0.0: loaded") && said.contains("plugins enable"), "{said}");
    let state = |machine: &Machine| {
        let listed = machine.ok(&["plugins", "list"]);
        let line = listed.lines().find(|line| line.starts_with("balancer:custom_balancer")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(state(&machine), "disabled");
    let said = machine.ok(&["plugins", "enable", "balancer:custom_balancer"]);
    assert!(said.contains("balancer:custom_balancer 1.0.0: enabled"), "{said}");
    assert_eq!(state(&machine), "enabled");
    let bytes = content(1, 640_000);
    machine.upload(&bytes, "/f");
    assert_eq!((shards(&machine, 1), shards(&machine, 2), shards(&machine, 3)), (10, 0, 0));
    let info = machine.ok(&["plugins", "info", "balancer:custom_balancer"]);
    assert!(info.contains("Your Name") && info.contains("Custom balancing strategy"), "{info}");
    machine.ok(&["plugins", "disable", "balancer:custom_balancer"]);
    assert_eq!(state(&machine), "disabled");
    machine.upload(content(2, 640_000), "/g");
    assert!(shards(&machine, 2) > 2 && shards(&machine, 3) > 2);
    assert!(machine.cat("/f") == bytes);
    // Its file was copied: the first one is not needed any more.
    std::fs::remove_file(machine.path("plugin.py")).unwrap();
    machine.ok(&["plugins", "enable", "balancer:custom_balancer"]);
}

#[test]
fn the_guide_shows_what_is_tested() {
    let guide = repository::read("PLUGINS.md");
    let example = repository::read("examples/plugins/custom_balancer.py");
    let code = example.split_once("\n\n").unwrap().1;
    assert!(guide.contains(code), "the balancer of the guide is that of examples/plugins");
    for kind in rclonepool_core::plugin::PluginKind::ALL {
        assert!(guide.contains(&format!("`{}`", kind.as_str())), "{kind:?}");
    }
    let python = repository::read("python/python/rclonepool/plugin_system.py");
    let hooks: Vec<&str> = python
        .lines()
        .filter_map(|line| line.trim().split_once(" = \""))
        .map(|(name, _)| name)
        .filter(|n| n.contains('_'))
        .collect();
    assert!(hooks.len() >= 10);
    for hook in hooks.iter().filter(|hook| hook.to_uppercase() == **hook && !hook.starts_with('_')) {
        let known = ["STORAGE_BACKEND", "EVENT_HANDLER"].contains(hook) || guide.contains(&format!("| `{hook}` |"));
        assert!(known, "{hook}");
    }
    for file in std::fs::read_dir(repository::root().join("examples/plugins")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(guide.contains(&name), "{name}");
    }
}

#[test]
fn of_balancers_one_is_in_force() {
    let machine = Machine::with_pool(2, "none", "64K");
    machine.file("one.py", SNIPPET);
    machine.file("two.py", SNIPPET.replace("custom_balancer", "other").replace("remotes[0]", "remotes[-1]"));
    for file in ["one.py", "two.py"] {
        machine.ok(&["plugins", "load", file]);
    }
    machine.ok(&["plugins", "enable", "balancer:custom_balancer"]);
    let said = machine.ok(&["plugins", "enable", "balancer:other"]);
    assert!(said.contains("balancer:custom_balancer: not in force any more"), "{said}");
    machine.upload(content(1, 200_000), "/f");
    assert_eq!(shards(&machine, 1), 0);
    machine.configure(|config| {
        for id in ["balancer:custom_balancer", "balancer:other"] {
            config["plugins"][id]["enabled"] = true.into();
        }
    });
    let error = machine.fails(7, &["ls"]);
    assert!(error.contains("only one balancer can be in force"), "{error}");
}

#[test]
fn wrong_words_are_explained() {
    let machine = Machine::with_pool(1, "none", "64K");
    for (code, words, said) in [
        (2, vec!["plugins", "enable", "custom_balancer"], "is no id of a plugin"),
        (4, vec!["plugins", "enable", "balancer:nobody"], "there is no plugin balancer:nobody"),
        (2, vec!["plugins", "enable", "chunker:fastcdc"], "chunker chooses it"),
        (4, vec!["plugins", "disable", "balancer:nobody"], "there is no plugin"),
        (4, vec!["plugins", "load", "nothing.py"], "nothing.py"),
    ] {
        let error = machine.fails(code, &words);
        assert!(error.contains(said), "{words:?}: {error}");
    }
    machine.file("bad.py", "import nothing_of_that_name\n");
    let error = machine.fails(2, &["plugins", "load", "bad.py"]);
    assert!(error.contains("bad.py") && error.contains("ModuleNotFoundError"), "{error}");
    machine.file("text.txt", "x");
    assert!(machine.fails(6, &["plugins", "load", "text.txt"]).contains("no plugin that can be run here"));
    machine.file("open.py", SNIPPET);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(machine.path("open.py"), mode).unwrap();
    assert!(machine.fails(25, &["plugins", "load", "open.py"]).contains("may be written by other users"));
}

#[test]
fn encrypted_data_needs_its_plugin_and_nothing_else_does() {
    let machine = Machine::with_pool(3, "parity:2+1", "256K");
    let (plain, secret) = (content(1, 300_000), b"not to be seen ".repeat(50_000));
    machine.upload(&plain, "/plain");
    machine.ok(&["plugins", "load", &example(&machine, "keyed_encryption.py")]);
    let id = "encryption:keyed";
    let error = machine.fails(1, &["plugins", "enable", id]);
    assert!(error.contains("does not start: KeyError"), "{error}");
    let key = format!("key={}", "0f".repeat(32));
    machine.ok(&["plugins", "enable", id, "--set", &key]);
    assert!(!machine.ok(&["config", "show"]).contains("0f0f"), "keys are secret");
    machine.upload(&secret, "/secret");
    machine.upload(b"not to be seen", "/small");
    for n in 1..=3 {
        for below in ["rclonepool_data", "rclonepool_manifests"] {
            for file in machine.files_below(&format!("disk{n}/{below}")) {
                let bytes = machine.read(&format!("disk{n}/{below}/{file}"));
                assert!(!bytes.windows(14).any(|w| w == b"not to be seen"), "{file}");
            }
        }
    }
    let file = machine.summary(&["plugins", "load", &example(&machine, "keyed_encryption.py")])["file"].clone();
    std::fs::remove_file(file.as_str().unwrap()).unwrap();
    machine.forget_home_but_config();
    let error = machine.fails(7, &["upload", "keyed_encryption.py", "/more"]);
    assert!(error.contains("nothing is stored without the plugin encryption:keyed"), "{error}");
    let error = machine.fails(6, &["cat", "/secret"]);
    assert!(error.contains("/secret") && error.contains("needs the plugin encryption:keyed 1.0"), "{error}");
    assert!(machine.cat("/plain") == plain);
    machine.ok(&["verify", "--deep"]);
    machine.ok(&["plugins", "load", &example(&machine, "keyed_encryption.py")]);
    assert!(machine.cat("/secret") == secret && machine.cat("/small") == b"not to be seen");
    let warned = machine.run(&["plugins", "disable", id]).stderr;
    assert!(warned.contains("cannot be read now"), "{warned}");
    assert!(machine.fails(6, &["cat", "/secret"]).contains("which is not enabled"));
    machine.ok(&["plugins", "enable", "--read-only", id]);
    assert!(machine.cat("/secret") == secret);
    machine.upload(b"to be seen by all", "/open");
    let seen = machine.files_below("disk1/rclonepool_manifests").into_iter().any(|file| file.contains("commits"));
    assert!(seen && machine.cat("/open") == b"to be seen by all");
}

#[test]
fn a_remote_that_a_plugin_keeps() {
    let machine = Machine::with_pool(2, "replication:2", "256K");
    machine.ok(&["plugins", "load", &example(&machine, "file_store.py")]);
    machine.ok(&["plugins", "enable", "storage_backend:files"]);
    let root = machine.directory("kept");
    let label = format!("storage_backend:files:{}", root.display());
    let bytes = content(3, 700_000);
    machine.upload(&bytes, "/f");
    machine.ok(&["remotes", "add", &label, "--alone"]);
    machine.ok(&["rebalance", "--yes"]);
    machine.upload(content(4, 700_000), "/g");
    assert!(machine.files_below("kept").iter().any(|file| file.starts_with("rclonepool_data/")));
    assert!(machine.cat("/f") == bytes);
    // Without its plugin the pool says which it is; the other remotes alone would do, but are not all that was asked for.
    machine.ok(&["plugins", "disable", "storage_backend:files"]);
    let error = machine.fails(7, &["ls"]);
    assert!(error.contains("needs the plugin storage_backend:files, which is not enabled"), "{error}");
}

#[test]
fn what_happens_is_told_and_may_be_refused() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    machine.ok(&["plugins", "load", &example(&machine, "event_log.py")]);
    let file = format!("file={}", machine.text("log"));
    machine.ok(&["plugins", "enable", "event_handler:event_log", "--set", &file, "--set", "protected=[\"/keep\"]"]);
    machine.upload(content(1, 100_000), "/f");
    assert!(machine.cat("/f").len() == 100_000);
    machine.ok(&["delete", "/f"]);
    machine.file("kept", "x");
    let error = machine.fails(2, &["upload", "kept", "/keep"]);
    assert!(error.contains("/keep is protected") && error.contains("event_handler:event_log"), "{error}");
    let log = String::from_utf8(machine.read("log")).unwrap();
    let hooks: Vec<&str> = log.lines().filter_map(|line| line.split('"').nth(3)).collect();
    assert_eq!(hooks, ["PRE_UPLOAD", "POST_UPLOAD", "PRE_DOWNLOAD", "PRE_DELETE", "POST_DELETE"]);
}

#[test]
fn a_shared_library_in_rust() {
    let machine = Machine::with_pool(2, "replication:2", "64K");
    let library = built::example("path_check").with_file_name(format!(
        "{}plugin_rot.{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_EXTENSION
    ));
    let copy = machine.path("rot").with_extension(std::env::consts::DLL_EXTENSION);
    std::fs::copy(&library, &copy).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&copy, mode).unwrap();
    machine.ok(&["plugins", "load", &copy.display().to_string()]);
    let error = machine.fails(1, &["plugins", "enable", "transformer:rot", "--set", "by=1000"]);
    assert!(error.contains("by is a number from 0 to 255"), "{error}");
    machine.ok(&["plugins", "enable", "transformer:rot", "--set", "by=1"]);
    let text = b"abc ".repeat(20_000);
    machine.upload(&text, "/f");
    assert!(machine.cat("/f") == text);
    let shifted = machine.files_below("disk1/rclonepool_data").into_iter().any(|file| {
        let bytes = machine.read(&format!("disk1/rclonepool_data/{file}"));
        bytes.starts_with(b"bcd!bcd!")
    });
    assert!(shifted, "every byte is one more");
    assert!(Path::new(&library).exists());
}

#[test]
fn json_tells_the_same() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.file("plugin.py", SNIPPET);
    assert_eq!(machine.summary(&["plugins", "load", "plugin.py"])["plugins"][0], "balancer:custom_balancer");
    let enabled = machine.summary(&["plugins", "enable", "balancer:custom_balancer"]);
    assert_eq!((&enabled["version"], &enabled["plugin"]), (&"1.0.0".into(), &"balancer:custom_balancer".into()));
    let listed = machine.summary(&["plugins", "list"]);
    let ours = listed["plugins"].as_array().unwrap().iter().find(|one| one["plugin"] == "balancer:custom_balancer");
    assert_eq!(ours.unwrap()["state"], "enabled");
    assert_eq!(machine.summary(&["plugins", "info", "balancer:custom_balancer"])["author"], "Your Name");
    assert_eq!(
        machine.summary(&["plugins", "disable", "balancer:custom_balancer"])["plugin"],
        "balancer:custom_balancer"
    );
}
