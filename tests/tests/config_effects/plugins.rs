//! Plugins: whether, which, where from, by what, and how long they may take.

use std::time::{Duration, Instant};

use rclonepool_tests::cli::{Machine, content};

const FIRST: &str = "
import time
from plugin_system import BalancerPlugin, PluginMetadata, PluginType

class First(BalancerPlugin):
    def get_metadata(self):
        return PluginMetadata(name='first', version='1', plugin_type=PluginType.BALANCER)

    def initialize(self, config):
        self.pause = config.get('pause', 0)

    def select_remote(self, remotes, chunk_size):
        time.sleep(self.pause)
        return remotes[0]['name']
";

fn made() -> Machine {
    let machine = Machine::with_pool(3, "none", "64K");
    machine.file("first.py", FIRST);
    machine.set("plugins_dir", machine.text("plugins"));
    machine.ok(&["plugins", "load", "first.py"]);
    machine.ok(&["plugins", "enable", "balancer:first"]);
    machine
}

/// Whether everything of a new file lies on the first disk.
fn chooses(machine: &Machine, name: &str) -> bool {
    let shards =
        || [2, 3].map(|n| machine.files_below(&format!("disk{n}")).iter().filter(|f| f.contains("data")).count());
    let before = shards();
    machine.upload(content(name.len() as u64, 400_000), name);
    shards() == before
}

#[test]
fn enable_plugins_plugins_and_plugins_dir_put_them_in_force() {
    let machine = made();
    assert_eq!(machine.files_below("plugins"), ["first.py"]);
    assert!(chooses(&machine, "/f"));
    machine.set("enable_plugins", false);
    assert!(!chooses(&machine, "/ff"));
    let said = machine.run(&["ls"]).stderr;
    assert!(said.contains("plugins has no effect while enable_plugins is off: balancer:first"), "{said}");
    machine.set("enable_plugins", true);
    machine.set("plugins_dir", machine.text("elsewhere"));
    let warned = machine.run(&["upload", "first.py", "/warned"]).stderr;
    machine.file("large", content(9, 200_000));
    let warned = warned + &machine.run(&["upload", "large", "/large"]).stderr;
    assert!(warned.contains("balancing_strategy instead of the plugin balancer:first"), "{warned}");
    machine.set("plugins_dir", machine.text("plugins"));
    assert!(chooses(&machine, "/fff"));
}

#[test]
fn plugin_timeout_ends_what_hangs() {
    let machine = made();
    machine.set("plugin_timeout", 0.5);
    machine.configure(|config| config["plugins"]["balancer:first"]["config"] = serde_json::json!({"pause": 600}));
    machine.file("file", content(1, 100_000));
    let begin = Instant::now();
    let outcome = machine.run(&["upload", "file", "/f"]);
    assert!(outcome.code == 0 && outcome.stderr.contains("balancer:first hangs"), "{outcome:?}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert!(machine.cat("/f") == content(1, 100_000));
}

#[test]
fn plugin_python_runs_them() {
    let machine = made();
    machine.set("plugin_python", "/no/such/python3");
    let error = machine.fails(2, &["plugins", "info", "balancer:first"]);
    assert!(error.contains("/no/such/python3 does not start"), "{error}");
    machine.set("plugin_python", "python3");
    machine.ok(&["plugins", "info", "balancer:first"]);
}
