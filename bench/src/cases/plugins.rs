//! What plugins cost that do nothing: a balancer and a transformer in Python, a transformer in C.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rclonepool_core::plugin::{Balancer, ChildLoader, Implementation, Loader, Offer, Plugin};
use rclonepool_core::stage::transform::Transforms;
use serde_json::{Map, json};

use super::{MIB, mib};
use crate::places::{self, TestPool};
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale};

const REMOTES: usize = 4;
/// Of a chunk of three data shards and one of parity.
const SHARDS: usize = 4;

const BALANCER: &str = "
from plugin_system import BalancerPlugin, PluginMetadata, PluginType
class First(BalancerPlugin):
    def get_metadata(self):
        return PluginMetadata(name='first', version='1', plugin_type=PluginType.BALANCER)
    def select_remote(self, remotes, chunk_size):
        return remotes[0]['name']
";

const TRANSFORMER: &str = "
from plugin_system import PluginMetadata, PluginType, TransformerPlugin
class Pass(TransformerPlugin):
    def get_metadata(self):
        return PluginMetadata(name='pass', version='1', plugin_type=PluginType.TRANSFORMER)
    def transform(self, data):
        return data
    def restore(self, data):
        return data
";

const NATIVE: &str = r#"
#include "rclonepool_plugin.h"
static const char *describe(void) {
    return "[{\"name\":\"native\",\"version\":\"1\",\"plugin_type\":\"transformer\"}]";
}
static int made;
static void *create(const char *kind, const char *name, const char *config, const rclonepool_plugin_host *host,
                    rclonepool_plugin_reply *reply) {
    (void)kind, (void)name, (void)config, (void)host, (void)reply;
    return &made;
}
static int32_t call(void *plugin, const char *method, const char *args, const uint8_t *data, size_t size,
                    const rclonepool_plugin_host *host, rclonepool_plugin_reply *reply) {
    (void)plugin, (void)method, (void)args;
    host->give(reply, data, size);
    return 0;
}
static void destroy(void *plugin) { (void)plugin; }
const rclonepool_plugin_table *rclonepool_plugin(void) {
    static const rclonepool_plugin_table table = {RCLONEPOOL_PLUGIN_ABI, sizeof table, describe, create, call, destroy};
    return &table;
}
"#;

fn written(dir: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let file = dir.join(name);
    std::fs::write(&file, text)?;
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700))?;
    Ok(file)
}

fn python(id: &str, file: PathBuf) -> Result<Arc<Plugin>> {
    let env: Vec<(String, String)> = std::env::vars().collect();
    let loader: Arc<dyn Loader> = Arc::new(ChildLoader::new("python3", &env));
    let plugin = Plugin::new(id.parse()?, file, loader, Map::new(), Duration::from_secs(10));
    plugin.metadata()?;
    Ok(plugin)
}

/// Milliseconds that one placement waits for the balancer.
fn balancer(dir: &Path, placements: usize) -> Result<f64> {
    let plugin = python("balancer:first", written(dir, "first.py", BALANCER)?)?;
    let offer = |n: usize| Offer {
        name: format!("remote{n}:"),
        id: format!("{n:032x}"),
        used: 1 << 40,
        free: Some(1 << 41),
        total: Some(1 << 42),
        weight: 1.0,
        priority: 0,
    };
    let offers: Vec<Offer> = (0..10).map(offer).collect();
    let begin = Instant::now();
    for _ in 0..placements {
        for shard in 0..SHARDS {
            plugin.choose(&offers[shard..], 25 << 20)?;
        }
    }
    Ok(begin.elapsed().as_secs_f64() * 1e3 / f64::from(u32::try_from(placements)?))
}

/// MiB a second to write through the transformer, each piece brought back and compared; and to read through it.
fn transformer(dir: &Path, pieces: usize) -> Result<[f64; 2]> {
    let plugin = python("transformer:pass", written(dir, "pass.py", TRANSFORMER)?)?;
    let transform = Implementation::of(&plugin).transform()?.ok_or("it changes bytes")?;
    let transforms = Transforms(vec![transform]);
    let piece: Vec<u8> = (0..MIB).map(|n| (n * 7 % 251) as u8).collect();
    let rate = |work: &dyn Fn() -> rclonepool_core::Result<Vec<u8>>| -> Result<f64> {
        let begin = Instant::now();
        for _ in 0..pieces {
            if work()? != piece {
                return Err("other bytes came back".into());
            }
        }
        Ok(f64::from(u32::try_from(pieces)?) / begin.elapsed().as_secs_f64())
    };
    Ok([rate(&|| transforms.apply(&piece))?, rate(&|| transforms.undo(&piece))?])
}

/// Seconds to upload and to download, without a plugin and with one in C.
fn native(size: u64, round: usize) -> Result<[[f64; 2]; 2]> {
    let home = places::fast(size * 4)?;
    let (source, back) = (home.path().join("source"), home.path().join("back"));
    places::random_file(&source, size)?;
    let code = written(home.path(), "native.c", NATIVE)?;
    let library = home.path().join("native").with_extension(std::env::consts::DLL_EXTENSION);
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../include");
    let mut cc = Command::new("cc");
    cc.args(["-std=c99", "-O2", "-shared", "-fPIC", "-I"]).arg(include).arg("-o").arg(&library).arg(&code);
    if !cc.status()?.success() {
        return Err("cc failed".into());
    }
    std::fs::set_permissions(&library, std::fs::Permissions::from_mode(0o700))?;
    let mut seconds = [[0.0; 2]; 2];
    // Who comes first is not to matter.
    for n in if round.is_multiple_of(2) { [0, 1] } else { [1, 0] } {
        let at = home.path().join(format!("pool{n}"));
        std::fs::create_dir(&at)?;
        let plugins = json!({"transformer:native": {"enabled": n == 1, "file": library}});
        let pool = TestPool::of_directories(&at, REMOTES, json!({ "plugins": plugins }))?;
        let up = pool.run(Work::Upload { from: source.clone(), to: "/file".into() })?;
        let down = pool.run(Work::Download { from: "/file".into(), to: back.clone() })?;
        seconds[n] = [up.cpu_seconds, down.cpu_seconds];
        places::check_same(&source, &back)?;
        std::fs::remove_file(&back)?;
        std::fs::remove_dir_all(&at)?;
    }
    Ok(seconds)
}

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let dir = tempfile::tempdir()?;
    let count = usize::try_from(scale.size(2000, 100))?;
    let (mut placed, mut rates, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    let size = scale.size(1024 * MIB, 64 * MIB);
    for round in 0..scale.rounds {
        placed.push(balancer(dir.path(), count)?);
        rates.push(transformer(dir.path(), count)?);
        costs.push(native(size, round)?);
    }
    let placement = median(placed.iter().copied());
    let rate = |way: usize| median(rates.iter().map(|rate| rate[way]));
    let cost = |n: usize, way: usize| median(costs.iter().map(|cost| cost[n][way]));
    let ratio = |way: usize| median(costs.iter().map(|cost| cost[1][way] / cost[0][way]));
    let through = |what: &str, way: usize| Row {
        what: format!("{what} through a transformer in Python"),
        ours: format!("{:.0} MiB/s", rate(way)),
        beside: "300 MB/s".into(),
        ratio: rate(way) * mib(MIB) * 1.048_576 / 300.0,
        goal: Goal::AtLeast(1.0),
    };
    let in_c = |what: &str, way: usize| Row {
        what: format!("CPU of {what} through a transformer in C"),
        ours: format!("{:.2} s", cost(1, way)),
        beside: format!("without: {:.2} s", cost(0, way)),
        ratio: ratio(way),
        goal: Goal::AtMost(1.03),
    };
    Ok(vec![
        Row {
            what: "what a balancer in Python adds to a placement".into(),
            ours: format!("{placement:.3} ms"),
            beside: "1 ms".into(),
            ratio: placement,
            goal: Goal::AtMost(1.0),
        },
        through("what is written", 0),
        through("what is read", 1),
        in_c("an upload", 0),
        in_c("a download", 1),
    ])
}
