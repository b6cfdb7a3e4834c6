//! `rclonepool serve` beside `rclone serve webdav` over chunker over union of as many directories: both keep nothing
//! of what was read. And what clients of the WebSocket cost that only listen.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rclonepool_tests::rclone;
use serde_json::{Value, json};

use super::{MIB, mib};
use crate::http::Connection;
use crate::places::{self, TestPool, directories};
use crate::table::{Goal, Row, median};
use crate::worker::Work;
use crate::{Result, Scale, gauge};

const DIRECTORIES: usize = 4;
/// Ours by default; rclone's own default, 2 GiB, would make it a copy of one file to one directory.
const CHUNK: &str = "100M";
/// Where the pool's own filling puts its files.
const LISTED: &str = "/photos/0000/";
const LISTENERS: u64 = 1000;
const LISTENERS_MOST: u64 = 50 * MIB;
/// What rclone's client asks for of an ownCloud.
const PROPERTIES: &str = "<?xml version=\"1.0\"?><d:propfind xmlns:d=\"DAV:\" xmlns:oc=\"http://owncloud.org/ns\">\
    <d:prop><d:displayname/><d:getlastmodified/><d:getcontentlength/><d:resourcetype/><d:getcontenttype/>\
    <oc:checksums/><oc:permissions/></d:prop></d:propfind>";

/// What is measured, in the order of the table.
const KINDS: [&str; 5] = ["PUT", "GET", "GET of 1 MiB ranges", "PROPFIND as rclone asks", "PROPFIND of all properties"];

pub fn run(scale: Scale) -> Result<Vec<Row>> {
    let (size, ranges) = (scale.size(1024, 128) * MIB, scale.size(200, 20));
    let entries = scale.size(10_000, 1000);
    let home = places::fast(size * 4)?;
    let source = home.path().join("source");
    places::random_file(&source, size)?;
    let pool = TestPool::of_directories(home.path(), DIRECTORIES, json!({ "enable_chunk_cache": false }))?;
    pool.run(Work::Fill { directories: 1, files: entries })?;
    let conf = peer(home.path(), entries)?;
    let ours = Served::start(home.path(), &pool.config)?;
    let theirs = rclone::Server::webdav_of(&conf, "pool:", &["--vfs-cache-mode", "off"]);
    let bench = Bench { source: File::open(&source)?, size, ranges, entries };
    let addresses = [ours.address.as_str(), theirs.address()];
    for address in addresses {
        bench.check(address)?;
    }
    let mut seconds: [[Vec<f64>; 2]; KINDS.len()] = Default::default();
    for round in 0..scale.rounds {
        for (kind, seconds) in seconds.iter_mut().enumerate() {
            // Who comes first changes from round to round.
            for who in (0..2).map(|turn| (turn + round) % 2) {
                seconds[who].push(bench.measure(kind, addresses[who])?);
            }
        }
    }
    drop((ours, theirs));
    let mut rows = Vec::new();
    for (kind, [ours, theirs]) in seconds.iter().enumerate() {
        let figure = |seconds: &Vec<f64>| match kind {
            0 | 1 => format!("{:.0} MiB/s", mib(size) / median(seconds.iter().copied())),
            2 => format!("{:.2} ms each", 1000.0 * median(seconds.iter().copied()) / f64::from(ranges)),
            _ => format!("{:.0} ms", 1000.0 * median(seconds.iter().copied())),
        };
        let of = if kind < 3 { String::new() } else { format!(" of {entries} entries") };
        rows.push(Row {
            what: format!("WebDAV over {DIRECTORIES} directories, mode none, no cache, {}{of}: speed", KINDS[kind]),
            ours: figure(ours),
            beside: format!("rclone serve webdav, chunker over union: {}", figure(theirs)),
            ratio: median(ours.iter().zip(theirs).map(|(ours, theirs)| theirs / ours)),
            goal: Goal::AtLeast(if kind < 3 { 1.0 } else { 3.0 }),
        });
    }
    rows.push(listeners(home.path(), &pool.config, scale.size(LISTENERS, 100))?);
    Ok(rows)
}

/// rclone's own way of joining directories, with as many small files in one of the pool's as ours has.
fn peer(home: &Path, entries: u32) -> Result<rclone::Config> {
    let upstreams = directories(home, "peer", DIRECTORIES)?;
    for file in 0..entries {
        let to = upstreams[file as usize % DIRECTORIES].join(LISTED.trim_matches('/'));
        std::fs::create_dir_all(&to)?;
        std::fs::write(to.join(format!("IMG_{file:05}.jpg")), format!("0/{file}"))?;
    }
    let upstreams: Vec<String> = upstreams.iter().map(|path| path.display().to_string()).collect();
    let conf = home.join("peer-conf");
    std::fs::create_dir(&conf)?;
    let mut conf = rclone::Config::new(&conf);
    conf.section("union", "union", &[("upstreams", &upstreams.join(" ")), ("create_policy", "rand")]);
    conf.section("pool", "chunker", &[("remote", "union:"), ("chunk_size", CHUNK)]);
    Ok(conf)
}

struct Bench {
    source: File,
    size: u64,
    ranges: u32,
    entries: u32,
}

impl Bench {
    /// That a server gives what it took, and lists what there is.
    fn check(&self, address: &str) -> Result<()> {
        let mut connection = Connection::open(address)?;
        connection.put("/file", &self.source)?;
        let (mut at, mut wanted) = (0, vec![0; 1 << 20]);
        connection.ask("GET /file", "", "", 200, |bytes| {
            self.source.read_exact_at(&mut wanted[..bytes.len()], at)?;
            at += bytes.len() as u64;
            if wanted[..bytes.len()] == *bytes { Ok(()) } else { Err("it gives other bytes than it took".into()) }
        })?;
        if at != self.size {
            return Err("it gives fewer bytes than it took".into());
        }
        let mut listed = Vec::new();
        connection.ask(&format!("PROPFIND {LISTED}"), "Depth: 1\r\n", PROPERTIES, 207, |bytes| {
            listed.extend_from_slice(bytes);
            Ok(())
        })?;
        let files = String::from_utf8_lossy(&listed).matches(".jpg</").count();
        // Of some servers the name stands twice: as address and as displayname.
        if files != self.entries as usize && files != 2 * self.entries as usize {
            return Err(format!("{address} lists {files} of {} files", self.entries).into());
        }
        Ok(())
    }

    /// The seconds of one kind.
    fn measure(&self, kind: usize, address: &str) -> Result<f64> {
        let mut connection = Connection::open(address)?;
        let begin = Instant::now();
        match kind {
            0 => connection.put("/file", &self.source)?,
            1 => self.whole(connection.ask("GET /file", "", "", 200, |_| Ok(()))?)?,
            2 => return self.parts(&mut connection),
            _ => {
                let body = if kind == 3 { PROPERTIES } else { "" };
                connection.ask(&format!("PROPFIND {LISTED}"), "Depth: 1\r\n", body, 207, |_| Ok(()))?;
            }
        }
        Ok(begin.elapsed().as_secs_f64())
    }

    fn whole(&self, read: u64) -> Result<()> {
        if read == self.size { Ok(()) } else { Err("it gives fewer bytes than it took".into()) }
    }

    /// The seconds of all ranges; those of looking at what came are not counted.
    fn parts(&self, connection: &mut Connection) -> Result<f64> {
        let (mut seconds, mut came, mut wanted) = (0.0, Vec::new(), vec![0; 1 << 20]);
        for _ in 0..self.ranges {
            let at = rand::random::<u64>() % (self.size - MIB);
            came.clear();
            let range = format!("Range: bytes={at}-{}\r\n", at + MIB - 1);
            let begin = Instant::now();
            connection.ask("GET /file", &range, "", 206, |bytes| {
                came.extend_from_slice(bytes);
                Ok(())
            })?;
            seconds += begin.elapsed().as_secs_f64();
            self.source.read_exact_at(&mut wanted, at)?;
            if came != wanted {
                return Err("it gives other bytes than it took".into());
            }
        }
        Ok(seconds)
    }
}

/// What so many clients add that listen to a topic on which nothing happens.
fn listeners(home: &Path, config: &Value, count: u64) -> Result<Row> {
    let served = Served::start(home, config)?;
    let open = || -> Result<Connection> {
        let mut connection = Connection::open(&served.address)?;
        connection.listen("/.rclonepool/ws", "verification")?;
        Ok(connection)
    };
    // What the first one brings along is nobody's in particular.
    drop(open()?);
    let settle = || std::thread::sleep(Duration::from_secs(1));
    settle();
    let pid = served.child.id();
    let before = gauge::resident_of(pid);
    let clients = (0..count).map(|_| open()).collect::<Result<Vec<_>>>()?;
    settle();
    let more = gauge::resident_of(pid).saturating_sub(before);
    drop(clients);
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    Ok(Row {
        what: format!("memory resident that {count} idle WebSocket clients add"),
        ours: format!("{:.1} MiB", mib(more)),
        beside: format!("{:.0} MiB for {LISTENERS}", mib(LISTENERS_MOST)),
        ratio: more as f64 / (LISTENERS_MOST * count / LISTENERS) as f64,
        goal: Goal::AtMost(1.0),
    })
}

/// `rclonepool serve`; killed when it is dropped.
struct Served {
    child: Child,
    address: String,
}

impl Served {
    fn start(home: &Path, config: &Value) -> Result<Self> {
        let program = std::env::current_exe()?.with_file_name("rclonepool");
        if !program.exists() {
            return Err(format!("{} is not there: scripts/bench builds it", program.display()).into());
        }
        let file = home.join("config.json");
        std::fs::write(&file, config.to_string())?;
        let mut command = Command::new(program);
        command.arg("--json").arg("--config").arg(&file).args(["serve", "--port", "0"]).env("HOME", home);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let stdout = child.stdout.take().ok_or("standard output is piped")?;
        let mut served = Self { child, address: String::new() };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let said: Value = serde_json::from_str(&line).map_err(|e| format!("rclonepool serve: {e}: {line:?}"))?;
        let url = said["url"].as_str().ok_or_else(|| format!("rclonepool serve: {line}"))?;
        served.address = url.trim_start_matches("http://").into();
        Ok(served)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // An error means that it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
