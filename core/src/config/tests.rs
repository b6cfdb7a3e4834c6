//! The configuration as a whole; single parts are tested beside their code.

mod bad_values;
mod docs;
mod edits;
mod fuzz;
mod schema;

use std::path::Path;

use super::*;
use crate::redundancy::Redundancy;

pub(super) const EXAMPLE: &str = include_str!("../../tests/fixtures/complete-example.json");

/// A configuration of three remotes with more keys.
pub(super) fn with(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { ", " };
    format!("{{\"remotes\": [\"mega1:\", \"mega2:\", \"/mnt/disk\"]{comma}{more}}}")
}

fn parse(more: &str) -> Config {
    Config::parse(&with(more)).unwrap()
}

#[test]
fn the_complete_example_loads_with_every_value() {
    let config = Config::parse(EXAMPLE).unwrap();
    let given: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
    let read = serde_json::to_value(&config).unwrap();
    for (key, value) in given.as_object().unwrap() {
        let same = &read[key] == value || read[key].as_f64().is_some_and(|n| value.as_f64() == Some(n));
        assert!(same, "{key}: {value} became {}", read[key]);
        assert!(config.given.contains(key));
    }
    assert_eq!(config.given.len(), 54);
    assert_eq!(config.redundancy(), Redundancy::parity_of(3, 1).unwrap());
    assert_eq!(config.effective_remotes(), ["crypt-mega1:", "crypt-mega2:", "crypt-mega3:"]);
    assert_eq!(config.rclone_args(), ["--fast-list", "--no-traverse"]);
}

#[test]
fn only_remotes_are_needed() {
    let config = parse("");
    let want = Config { remotes: config.remotes.clone(), given: ["remotes".into()].into(), ..Config::default() };
    assert_eq!(config, want);
    assert_eq!(config.redundancy(), Redundancy::NONE);
    assert_eq!(config.effective_remotes(), config.remotes);
    let bom = format!("\u{feff}{}", with(""));
    assert_eq!(Config::parse(&bom).unwrap(), config);
}

#[test]
fn what_is_written_reads_back() {
    let config = parse(
        r#""pool_id": "0123456789abcdef0123456789abcdef", "remote_quotas": {"mega1:": "15GiB"}, "log_level": "Warn",
           "webdav_auth_method": ["basic", "bearer"], "temp_dir": "/t", "file_hashes": ["md5", "sha1"],
           "commit_quorum": 3, "rclone_daemon_port": 5572, "remote_weights": {"mega2": 1}"#
            .replace("mega2\"", "mega2:\"")
            .as_str(),
    );
    let text = serde_json::to_string(&config).unwrap();
    let again = Config::parse(&text).unwrap();
    assert_eq!(Config { given: config.given.clone(), ..again }, config);
}

#[test]
fn redundancy_of_each_mode() {
    for (more, text) in [
        (r#""redundancy_mode": "none""#, "none"),
        (r#""redundancy_mode": "replication", "replication_factor": 3"#, "replication:3"),
        (r#""redundancy_mode": "parity", "parity_data_shards": 4, "parity_parity_shards": 2"#, "parity:4+2"),
        (r#""redundancy_mode": "hybrid", "parity_data_shards": 2"#, "hybrid:2+1x2"),
    ] {
        assert_eq!(parse(more).redundancy(), text.parse().unwrap());
    }
}

#[test]
fn crypt_never_falls_back_to_plain() {
    let remotes = r#"{"use_crypt": true, "remotes": ["mega1:", "mega2:dir"]"#;
    let config = Config::parse(&format!("{remotes}}}")).unwrap();
    assert_eq!(config.effective_remotes(), ["crypt-mega1:", "crypt-mega2:"]);
    let listed = Config::parse(&format!(r#"{remotes}, "crypt_remotes": ["c:", "d:x"]}}"#)).unwrap();
    assert_eq!(listed.effective_remotes(), ["c:", "d:x"]);
    // Even a configuration that nobody checked names no plain remote.
    let unchecked = Config { use_crypt: true, remotes: vec!["/mnt/a".into()], ..Config::default() };
    assert!(unchecked.validate().is_err());
    assert_eq!(unchecked.effective_remotes(), ["crypt-?:"]);
}

#[test]
fn settings_of_remotes_take_either_name_in_any_spelling() {
    let config = Config::parse(
        r#"{"remotes": ["mega1:", "mega2:d/"], "use_crypt": true, "crypt_remotes": ["c1:", "c2:"],
            "remote_weights": {"c1:": 2.5}, "remote_priorities": {"mega2:d": -3}, "remote_quotas": {"mega2:d/": "1K"},
            "failure_domains": {"c2:": "home"}}"#,
    )
    .unwrap();
    let settings = config.remote_settings();
    assert_eq!((settings[0].label.as_str(), settings[0].remote.as_str(), settings[0].weight), ("c1:", "mega1:", 2.5));
    assert_eq!((settings[0].priority, settings[0].quota, settings[0].domain.as_deref()), (0, None, None));
    assert_eq!((settings[1].weight, settings[1].priority), (1.0, -3));
    assert_eq!((settings[1].quota, settings[1].domain.as_deref()), (Some(1024), Some("home")));
    assert_eq!(config.index_of("mega3:"), None);
}

#[test]
fn home_is_taken_from_the_caller_alone() {
    let mut config = Config::parse(
        r#"{"remotes": ["~/disk", "~", "mega1:~/x"], "remote_weights": {"~/disk/": 2}, "temp_dir": "~/t",
            "rclone_binary": "~/bin/rclone", "ssl_cert_file": "~/c.pem", "ssl_key_file": "/k.pem"}"#,
    )
    .unwrap();
    assert_eq!(config.manifest_cache_dir, Path::new("~/.cache/rclonepool"));
    config.expand_home(Path::new("/home/ann"));
    assert_eq!(config.remotes, ["/home/ann/disk", "/home/ann", "mega1:~/x"]);
    assert_eq!(config.remote_settings()[0].weight, 2.0);
    assert_eq!(config.temp_dir.as_deref(), Some(Path::new("/home/ann/t")));
    assert_eq!(config.rclone_binary, Path::new("/home/ann/bin/rclone"));
    assert_eq!(config.manifest_cache_dir, Path::new("/home/ann/.cache/rclonepool"));
    assert_eq!(config.plugins_dir, Path::new("/home/ann/.config/rclonepool/plugins"));
    assert_eq!(config.ssl_cert_file.as_deref(), Some(Path::new("/home/ann/c.pem")));
    assert_eq!(config.ssl_key_file.as_deref(), Some(Path::new("/k.pem")));
    config.validate().unwrap();
}

#[test]
fn secrets_are_masked_everywhere() {
    let hash = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
    let config = Config::parse(&format!(
        r#"{{"remotes": [":s3,secret_access_key=hunter2:b", "m:"], "remote_weights": {{":s3,secret_access_key=hunter2:b": 2}},
            "rclone_flags": ["--s3-secret-access-key=hunter2", "--header", "hunter2", "--fast-list"],
            "webdav_users": {{"ann": "{hash}"}}}}"#
    ))
    .unwrap();
    let masked = config.masked();
    assert_eq!(masked["webdav_users"]["ann"], "***");
    assert_eq!(masked["rclone_flags"][3], "--fast-list");
    assert_eq!(masked["remotes"][0], ":s3,***:b");
    assert_eq!(masked["chunk_size"], 104_857_600);
    for text in [masked.to_string(), format!("{config:?}")] {
        assert!(!text.contains("hunter2") && !text.contains("argon2"), "{text}");
    }
}

#[test]
fn switches_without_effect_say_so() {
    let keys = |config: &Config| config.notices().into_iter().map(|n| n.key).collect::<Vec<_>>();
    assert!(keys(&parse("")).is_empty(), "defaults are no one's wish");
    let plugins = r#""plugins": {"balancer:x": {"enabled": true, "config": {"key": "secret"}}, "chunker:y": {}}"#;
    let config = parse(&format!(r#""enable_plugins": false, {plugins}"#));
    assert_eq!(keys(&config), ["plugins"]);
    assert!(config.notices()[0].message.contains("no effect while enable_plugins is off: balancer:x"));
    assert!(keys(&parse(plugins)).is_empty() && keys(&Config::parse(EXAMPLE).unwrap()).is_empty());
    assert!(!format!("{config:?}").contains("secret"), "what a plugin gets may be a key");
}

#[test]
fn chunks_are_as_long_as_memory_allows() {
    let mib = |more: &str| parse(more).chunk_bytes() as f64 / 1_048_576.0;
    assert_eq!([mib(""), mib(r#""memory_limit_mb": 202"#), mib(r#""memory_limit_mb": 201"#)], [100.0, 100.0, 99.0]);
    assert_eq!(mib(r#""memory_limit_mb": 128, "redundancy_mode": "replication", "replication_factor": 3"#), 63.0);
    assert_eq!(mib(r#""memory_limit_mb": 128, "redundancy_mode": "parity""#), 45.0);
    assert_eq!(mib(r#""memory_limit_mb": 16, "chunk_size": 4294967296"#), 7.0);
    let wide =
        r#""memory_limit_mb": 16, "redundancy_mode": "parity", "parity_data_shards": 200, "parity_parity_shards": 55"#;
    assert_eq!(mib(wide), 3.0);
}

#[test]
fn a_file_is_loaded_or_its_path_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.json");
    let missing = Config::load(&path).unwrap_err();
    assert_eq!(missing.kind(), crate::ErrorKind::NotFound);
    assert!(missing.to_string().contains("rclonepool init"), "{missing}");
    std::fs::write(&path, with("")).unwrap();
    assert_eq!(Config::load(&path).unwrap(), parse(""));
    std::fs::write(&path, "{\"remotes\": []}").unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().contains("c.json"));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().contains("UTF-8"));
}
