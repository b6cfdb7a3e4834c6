//! Keys that shape what is stored.

use rclonepool_tests::cli::{Machine, content};
use serde_json::{Value, json};

fn stat(machine: &Machine, path: &str) -> Value {
    serde_json::from_str(&machine.ok(&["stat", path])).unwrap()
}

#[test]
fn remotes_are_where_shards_lie() {
    let machine = Machine::with_pool(3, "none", "64K");
    machine.configure(|map| drop(map["remotes"].as_array_mut().unwrap().pop()));
    machine.upload(content(1, 600_000), "/f");
    for disk in ["disk1", "disk2"] {
        assert!(machine.files_below(disk).iter().any(|file| file.contains("_data/")), "{disk}");
    }
    assert!(!machine.files_below("disk3").iter().any(|file| file.contains("_data/")), "it is configured no more");
}

#[test]
fn pool_id_names_the_pool() {
    let machine = Machine::with_pool(1, "none", "64K");
    machine.upload("x", "/x");
    machine.configure(|map| drop(map.remove("pool_id")));
    assert_eq!(machine.ok(&["ls"]), "x\n", "without it the markers say");
    machine.set("pool_id", "0123456789abcdef0123456789abcdef");
    assert!(machine.fails(5, &["ls"]).contains("belongs to another pool"));
}

#[test]
fn chunk_size_cuts_files() {
    let machine = Machine::with_pool(1, "none", "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/small");
    machine.set("chunk_size", 131_072);
    machine.upload(&bytes, "/large");
    let chunks = |path| stat(&machine, path)["chunks"].as_array().unwrap().len();
    assert_eq!((chunks("/small"), chunks("/large")), (5, 3));
    assert_eq!((machine.cat("/small"), machine.cat("/large")), (bytes.clone(), bytes));
}

#[test]
fn prefixes_are_where_objects_lie() {
    let machine = Machine::new();
    let disk = machine.disks(1).remove(0);
    machine.write_config(&json!({"remotes": [disk], "data_prefix": "a/b", "manifest_prefix": "c"}).to_string());
    machine.ok(&["init", "--yes"]);
    machine.upload(content(1, 10_000), "/f");
    let files = machine.files_below("disk1");
    assert!(
        files.iter().any(|file| file.starts_with("a/b/")) && files.iter().any(|file| file.starts_with("c/commits/"))
    );
    assert!(files.iter().all(|file| file.starts_with("a/b/") || file.starts_with("c/")), "{files:?}");
}

#[test]
fn redundancy_makes_the_shards() {
    let machine = Machine::with_pool(6, "none", "256K");
    let layout = |keys: Value| {
        machine.configure(|map| map.extend(keys.as_object().unwrap().clone()));
        machine.upload(content(1, 200_000), "/f");
        let chunk = stat(&machine, "/f")["chunks"][0].clone();
        let number = |name: &str| chunk["layout"][name].as_u64().unwrap();
        let remotes: std::collections::BTreeSet<_> =
            chunk["shards"].as_array().unwrap().iter().map(|shard| shard["remote"].to_string()).collect();
        machine.ok(&["delete", "/f"]);
        (number("data"), number("parity"), number("copies"), remotes.len())
    };
    assert_eq!(layout(json!({"redundancy_mode": "none"})), (1, 0, 1, 1));
    assert_eq!(layout(json!({"redundancy_mode": "replication"})), (1, 0, 2, 2));
    assert_eq!(layout(json!({"replication_factor": 4})), (1, 0, 4, 4));
    assert_eq!(layout(json!({"redundancy_mode": "parity"})), (3, 1, 1, 4));
    assert_eq!(layout(json!({"parity_data_shards": 4})), (4, 1, 1, 5));
    assert_eq!(layout(json!({"parity_parity_shards": 2})), (4, 2, 1, 6));
    let hybrid = json!({"redundancy_mode": "hybrid", "replication_factor": 2, "parity_data_shards": 2, "parity_parity_shards": 1});
    assert_eq!(layout(hybrid), (2, 1, 2, 6));
}

#[test]
fn file_hashes_are_kept() {
    let machine = Machine::with_pool(1, "none", "64K");
    let bytes = content(1, 200_000);
    machine.upload(&bytes, "/without");
    assert!(stat(&machine, "/without")["entry"]["content"]["file"]["hashes"].is_null());
    machine.set("file_hashes", json!(["md5", "sha256"]));
    machine.upload(&bytes, "/with");
    let hashes = stat(&machine, "/with")["entry"]["content"]["file"]["hashes"].clone();
    let tool = |program: &str| {
        machine.shell(&format!("{program} upload.tmp")).stdout[..].split(' ').next().unwrap().to_owned()
    };
    assert_eq!(hashes, json!({"md5": tool("md5sum"), "sha256": tool("sha256sum")}));
}

#[test]
fn compression_stores_less() {
    let machine = Machine::with_pool(3, "none", "2M");
    let text: Vec<u8> = content(1, 3_000_000).iter().map(|byte| b"a list of words\n"[usize::from(byte % 16)]).collect();
    let stored = |path: &str| {
        let chunks = stat(&machine, path)["chunks"].as_array().unwrap().clone();
        chunks.iter().map(|chunk| chunk["stored"].as_u64().unwrap()).sum::<u64>()
    };
    machine.upload(&text, "/plain");
    assert_eq!(stored("/plain"), 3_000_000);
    assert!(!machine.ok(&["status"]).contains("compress"));
    machine.set("enable_compression", true);
    machine.upload(&text, "/packed");
    machine.upload(content(2, 3_000_000), "/noise");
    assert!(stored("/packed") < 2_000_000 && stored("/noise") == 3_000_000, "{}", stored("/packed"));
    let status: Value = serde_json::from_str(&machine.ok(&["--json", "status"])).unwrap();
    let told = (status["compressed_bytes"].as_u64(), status["compressed_stored"].as_u64());
    assert_eq!(told, (Some(3_000_000), Some(stored("/packed"))), "{status}");
    assert!(machine.ok(&["status"]).contains("compressed: 2.9 MiB take "), "{}", machine.ok(&["status"]));
    machine.set("compression_level", 19);
    machine.upload(&text, "/harder");
    assert!(stored("/harder") < stored("/packed"), "{} {}", stored("/harder"), stored("/packed"));
    for path in ["/plain", "/packed", "/harder"] {
        assert!(machine.cat(path) == text, "{path}");
    }
    assert_eq!(machine.run(&["ls"]).stderr, "", "both keys have an effect");
}

fn chunks(machine: &Machine, path: &str) -> Vec<(String, u64)> {
    let of = |chunk: &Value| (chunk["chunk"].as_str().unwrap().to_owned(), chunk["size"].as_u64().unwrap());
    stat(machine, path)["chunks"].as_array().unwrap().iter().map(of).collect()
}

#[test]
fn equal_content_is_stored_once() {
    let machine = Machine::with_pool(3, "none", "64K");
    let bytes = content(1, 300_000);
    machine.upload(&bytes, "/1");
    machine.upload(&bytes, "/2");
    assert_ne!(chunks(&machine, "/1"), chunks(&machine, "/2"));
    assert!(!machine.ok(&["status"]).contains("deduplicated"));
    machine.set("enable_deduplication", true);
    machine.upload(&bytes, "/3");
    let there = [chunks(&machine, "/1"), chunks(&machine, "/2")].concat();
    assert!(chunks(&machine, "/3").iter().all(|chunk| there.contains(chunk)));
    let status: Value = serde_json::from_str(&machine.ok(&["--json", "status"])).unwrap();
    let told = ["bytes", "unique_bytes", "deduplicated_bytes"].map(|key| status[key].as_u64().unwrap());
    assert_eq!(told, [900_000, 600_000, 300_000]);
    let said = machine.ok(&["status"]);
    assert!(said.contains("deduplicated: 878.9 KiB are 585.9 KiB of different content, 293.0 KiB saved"), "{said}");
    assert_eq!(machine.run(&["ls"]).stderr, "", "the key has an effect");
}

#[test]
fn chunker_cuts_by_content() {
    let machine = Machine::with_pool(1, "none", "64K");
    let (old, front) = (content(1, 600_000), content(2, 1000));
    let new = [front.as_slice(), &old].concat();
    machine.upload(&old, "/fixed");
    assert!(chunks(&machine, "/fixed")[..9].iter().all(|(_, size)| *size == 65_536));
    machine.set("chunker", "fastcdc");
    machine.upload(&old, "/old");
    machine.upload(&new, "/new");
    let sizes = |path: &str| chunks(&machine, path).iter().map(|(_, size)| *size).collect::<Vec<u64>>();
    let (old_sizes, new_sizes) = (sizes("/old"), sizes("/new"));
    assert!(old_sizes.iter().all(|size| *size <= 65_536) && old_sizes.len() > 20, "{old_sizes:?}");
    assert_eq!(old_sizes[old_sizes.len() - 15..], new_sizes[new_sizes.len() - 15..]);
    assert_eq!((machine.cat("/old"), machine.cat("/new")), (old, new));
}

#[test]
fn enable_lifeboat_stores_the_reader() {
    let boat = |machine: &Machine| machine.files_below("disk1/rclonepool_manifests/lifeboat").len();
    assert_eq!(boat(&Machine::with_pool(1, "none", "64K")), 8);
    let machine = Machine::new();
    let disk = machine.directory("disk1").display().to_string();
    machine.ok(&["init", "--no-lifeboat", "--remote", &disk]);
    assert_eq!(boat(&machine), 0);
    let disk = machine.directory("disk2").display().to_string();
    machine.ok(&["remotes", "add", &disk]);
    assert_eq!(machine.files_below("disk2/rclonepool_manifests/lifeboat").len(), 0);
}
