//! One bad value for every key, and what is said of it.

use std::collections::BTreeSet;

use super::super::*;
use super::with;
use crate::ErrorKind;

/// (key, JSON value, what the message must hold). The value alone makes the configuration wrong.
const BAD: &[(&str, &str, &str)] = &[
    ("remotes", "[]", "no remotes; needed: a list of at least one"),
    ("remotes", "\"mega1:\"", "remotes: \"mega1:\" is not allowed; allowed: a list"),
    ("remotes", "[\"a:\", 5]", "remotes[1]: 5 is not allowed"),
    ("remotes", "[\"mega1\"]", "remotes[0]: \"mega1\": neither an rclone remote"),
    ("remotes", "[\"mega1\"]", "did you mean \"mega1:\"?"),
    ("remotes", "[\"disk/one\"]", "nor the absolute path of a directory"),
    ("remotes", "[\"a:x\", \"/d\", \"a:x/\"]", "remotes[2]: \"a:x/\" is the same remote as remotes[0]"),
    ("remotes", "[\"/d/./e\", \"/d//e/\"]", "is the same remote as remotes[0]"),
    ("remotes", "null", "null is not allowed"),
    ("pool_id", "\"ABC\"", "\"ABC\" is not allowed; allowed: 32 lower-case hex digits"),
    ("chunk_size", "1000", "1000 is not allowed; allowed: a whole number from 65,536 to 4,294,967,296 (bytes)"),
    ("chunk_size", "1e8", "100000000.0 is not allowed; allowed: a whole number"),
    ("chunk_size", "-1", "-1 is not allowed"),
    ("chunk_size", "\"100MB\"", "\"100MB\" is not allowed"),
    ("chunk_size", "99999999999999999999999", "is not allowed"),
    ("data_prefix", "\"\"", "\"\" is not allowed; allowed: a relative path"),
    ("data_prefix", "\"/abs\"", "\"/abs\" is not allowed"),
    ("data_prefix", "\"a/../b\"", "without '..'"),
    ("data_prefix", "\"sp ace\"", "is not allowed"),
    ("data_prefix", "\"RclonePool_Manifests/x\"", "neither inside the other"),
    ("manifest_prefix", "\"rclonepool_data\"", "neither inside the other"),
    ("manifest_prefix", "\"a//b\"", "is not allowed"),
    ("use_crypt", "\"yes\"", "\"yes\" is not allowed; allowed: true or false"),
    ("use_crypt", "true", "\"/mnt/disk\" (remotes[2]) has no name to make crypt-NAME: of"),
    ("crypt_remotes", "[\"c\"]", "crypt_remotes[0]: \"c\": neither"),
    ("crypt_remotes", "[\"/c\"]", "is no rclone remote; a crypt remote is needed"),
    ("crypt_remotes", "[\"c:\", \"c:\"]", "crypt_remotes[1]: \"c:\" is the same remote as crypt_remotes[0]"),
    ("temp_dir", "\"tmp\"", "\"tmp\" is not allowed; allowed: an absolute path"),
    ("rclone_binary", "\"\"", "\"\" is not allowed; allowed: a program's name"),
    ("rclone_binary", "\"./rclone\"", "allowed: a program's name"),
    ("rclone_config_file", "\"rclone.conf\"", "allowed: an absolute path"),
    ("rclone_flags", "\"--fast-list\"", "allowed: a list of rclone flags"),
    (
        "rclone_flags",
        "[\"--fast-list\", \"--dry-run\"]",
        "rclone_flags[1]: --dry-run is refused: nothing would be stored",
    ),
    ("rclone_flags", "[\"--config=/x\"]", "use the key rclone_config_file"),
    ("enable_rclone_daemon", "1", "allowed: true or false"),
    ("rclone_daemon_port", "0", "0 is not allowed; allowed: a whole number from 1 to 65,535"),
    ("rclone_daemon_port", "65536", "65536 is not allowed"),
    ("rclone_daemon_port", "8080", "8080 is webdav_port, too"),
    ("remote_connections", "0", "from 1 to 64"),
    ("operation_timeout", "0", "from 1 to 86,400 (seconds)"),
    ("commit_offer_timeout", "3601", "from 0 to 3,600 (seconds)"),
    ("trash_retention_hours", "-1", "-1 is not allowed; allowed: a whole number from 0 to 876,000 (hours)"),
    ("sole_writer", "\"yes\"", "\"yes\" is not allowed; allowed: true or false"),
    ("memory_limit_mb", "15", "from 16 to 1,048,576 (MiB)"),
    ("commit_quorum", "4", "4 is not allowed with 3 remotes; allowed: from 2 to 3"),
    ("commit_quorum", "1", "allowed: from 2 to 3"),
    ("commit_quorum", "0", "from 1 to 1,000"),
    ("enable_retry", "null", "allowed: true or false"),
    ("max_retries", "101", "from 0 to 100"),
    ("retry_delay", "-0.5", "-0.5 is not allowed; allowed: a number from 0 to 3,600 (seconds)"),
    ("retry_delay", "\"1s\"", "a number from 0 to 3,600"),
    ("enable_manifest_cache", "0", "allowed: true or false"),
    ("manifest_cache_dir", "\"cache\"", "allowed: an absolute path"),
    ("manifest_cache_dir", "null", "null is not allowed"),
    ("enable_duplicate_detection", "[]", "allowed: true or false"),
    ("parallel_uploads", "4", "allowed: true or false"),
    ("parallel_downloads", "\"\"", "allowed: true or false"),
    ("max_parallel_workers", "0", "from 1 to 256"),
    ("enable_chunk_cache", "{}", "allowed: true or false"),
    ("chunk_cache_size_mb", "0", "from 1 to 1,048,576 (MiB)"),
    ("enable_prefetch", "2", "allowed: true or false"),
    ("prefetch_chunks", "65", "from 0 to 64"),
    ("show_progress", "\"auto\"", "allowed: true or false"),
    ("file_hashes", "[\"crc32\"]", "file_hashes[0]: \"crc32\" is not allowed; allowed: a list of sha256, md5, sha1"),
    ("file_hashes", "[\"md5\", \"md5\"]", "a hash stands twice"),
    (
        "balancing_strategy",
        "\"fastest\"",
        "allowed: least_used, round_robin, weighted, random or round_robin_least_used",
    ),
    (
        "remote_weights",
        "{\"mega9:\": 1}",
        "remote_weights.mega9:: no such remote; remotes has: mega1:, mega2:, /mnt/disk",
    ),
    ("remote_weights", "{\"mega1:\": 0}", "remote_weights.mega1:: 0 is not allowed; allowed: a number above 0"),
    ("remote_weights", "{\"mega1:\": \"2\"}", "remote_weights.mega1:: \"2\" is not allowed"),
    ("remote_weights", "{\"/mnt/disk\": 1, \"/mnt/disk/\": 2}", "the same remote as \"/mnt/disk\""),
    ("remote_priorities", "{\"mega1:\": 1.5}", "1.5 is not allowed; allowed: a map of remotes to whole numbers"),
    ("remote_priorities", "{\"\": 1}", "no such remote"),
    ("remote_quotas", "{\"mega1:\": \"15GB\"}", "remote_quotas.mega1:: \"15GB\" is not allowed"),
    ("remote_quotas", "{\"mega1:\": 0}", "allowed: a size above 0"),
    ("remote_quotas", "{\"mega1:\": -1}", "-1 is not allowed"),
    ("failure_domains", "{\"mega1:\": \" \"}", "allowed: a name of at most 255 bytes"),
    ("failure_domains", "[]", "allowed: a map of remotes to names"),
    ("auto_rebalance", "\"true\"", "allowed: true or false"),
    ("rebalance_threshold", "0", "from 0.1 to 100 (percentage points)"),
    ("redundancy_mode", "\"raid5\"", "\"raid5\" is not allowed; allowed: none, replication, parity or hybrid"),
    ("replication_factor", "0", "from 1 to 16"),
    ("replication_factor", "17", "from 1 to 16"),
    ("parity_data_shards", "0", "from 1 to 254"),
    ("parity_data_shards", "300", "300 is not allowed; allowed: a whole number from 1 to 254"),
    ("parity_data_shards", "254, \"parity_parity_shards\": 2", "256 shards per chunk; at most 255"),
    ("parity_parity_shards", "0", "from 1 to 254"),
    ("enable_health_monitoring", "\"on\"", "allowed: true or false"),
    ("auto_heal", "1", "allowed: true or false"),
    ("health_check_interval", "0", "from 1 to 31,536,000 (seconds)"),
    ("chunker", "\"rolling\"", "\"rolling\" is not allowed; allowed: fixed or fastcdc"),
    ("enable_deduplication", "null", "allowed: true or false"),
    ("enable_compression", "3", "allowed: true or false"),
    ("compression_level", "0", "from 1 to 22"),
    ("compression_level", "23", "from 1 to 22"),
    ("remote_limits", "{\"mega1:\": {\"upload_mbps\": -1}}", "numbers from 0 to 1,000,000"),
    ("remote_limits", "{\"mega1:\": {\"upload\": 1}}", "upload_mbps"),
    ("remote_limits", "{\"mega9:\": {}}", "no such remote"),
    ("bandwidth_limit_upload_mbps", "-1", "from 0 to 1,000,000 (MB/s)"),
    ("bandwidth_limit_download_mbps", "true", "from 0 to 1,000,000 (MB/s)"),
    ("webdav_host", "\"localhost:80\"", "allowed: an IP address or a host name, without a port"),
    ("webdav_host", "\"300.0.0.1\"", "is not allowed"),
    ("webdav_port", "0", "from 1 to 65,535"),
    ("webdav_port", "\"8080\"", "from 1 to 65,535"),
    ("webdav_auth_method", "\"digest\"", "allowed: none, basic, api_key or bearer"),
    ("webdav_auth_method", "[\"basic\", \"none\"]", "or a list of these without none"),
    ("webdav_users", "{\"ann\": \"hunter2\"}", "run `rclonepool user add ann`"),
    ("webdav_users", "{\"a:b\": \"hunter2\"}", "not a user's name"),
    ("webdav_users", "{\"ann\": [\"hunter2\"]}", "webdav_users.ann: this value is not allowed"),
    ("users", "{\"ann\": {\"config\": \"own.json\"}}", "must be an absolute path"),
    ("users", "{\"a:b\": {}}", "not a user's name"),
    ("users", "{\"ann\": {\"tokens\": [{\"id\": \"1\", \"sha256\": \"hunter2\"}]}}", "this value is not allowed"),
    ("server_base_path", "\"pool/\"", "allowed: empty, or a path"),
    ("trusted_proxies", "[\"proxy\"]", "allowed: a list of IP addresses"),
    ("cors_origins", "[\"*\"]", "allowed: a list of origins"),
    ("shutdown_timeout", "-1", "from 0 to 3,600"),
    ("sync_interval", "0", "from 1 to 86,400"),
    ("api_local_roots", "[\"import\"]", "allowed: a list of absolute paths"),
    ("metrics_host", "\"a b\"", "allowed: an IP address or a host name"),
    ("enable_https", "\"no\"", "allowed: true or false"),
    ("enable_lifeboat", "1", "allowed: true or false"),
    ("ssl_cert_file", "\"cert.pem\"", "allowed: an absolute path"),
    ("ssl_cert_file", "\"/cert.pem\"", "ssl_key_file: must be given, since ssl_cert_file is"),
    ("ssl_key_file", "\"/key.pem\"", "ssl_cert_file: must be given, since ssl_key_file is"),
    ("enable_webui", "5", "allowed: true or false"),
    ("enable_api_server", "{}", "allowed: true or false"),
    ("api_server_host", "\"\"", "allowed: an IP address or a host name"),
    ("api_server_port", "-8081", "from 1 to 65,535"),
    ("api_server_port", "8080, \"enable_api_server\": true", "8080 is webdav_port, too"),
    ("enable_plugins", "[]", "allowed: true or false"),
    ("plugins_dir", "\"plugins\"", "allowed: an absolute path"),
    ("plugins", "{\"strategy:x\": {}}", "is no id of a plugin"),
    ("plugins", "{\"balancer:a\": {\"enabled\": true}, \"balancer:b\": {\"enabled\": true}}", "only one balancer"),
    ("plugin_timeout", "0", "from 0.1 to 3,600"),
    ("plugin_python", "\"\"", "allowed: a program's name"),
    ("log_level", "\"LOUD\"", "allowed: off, error (or critical), warning, info, debug or trace"),
    ("enable_metrics", "9090", "allowed: true or false"),
    ("metrics_port", "70000", "from 1 to 65,535"),
    ("metrics_port", "8080, \"enable_metrics\": true", "8080 is webdav_port, too"),
];

fn problems_of(text: &str) -> Vec<Problem> {
    Config::check(text).expect_err(text)
}

#[test]
fn every_key_refuses_bad_values_and_says_what_is_allowed() {
    for (key, value, want) in BAD {
        let text = match *key {
            "remotes" => format!("{{\"remotes\": {value}}}"),
            _ => with(&format!("\"{key}\": {value}")),
        };
        let error = Config::parse(&text).expect_err(&text);
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.to_string();
        assert!(message.contains(want) && message.contains(key), "{key}: {value}: {message}");
        assert!(message.contains("line 1, column ") && !message.contains("hunter2"), "{message}");
        assert!(message.len() < 1000, "{message}");
    }
    let tested: BTreeSet<&str> = BAD.iter().map(|(key, ..)| *key).collect();
    let all = reference();
    assert_eq!(tested, all.iter().map(|doc| doc.key.as_str()).collect());
}

#[test]
fn one_bad_value_is_one_problem() {
    for (more, key) in [
        (r#""chunk_size": 5"#, "chunk_size"),
        (r#""parity_data_shards": 0, "redundancy_mode": "parity""#, "parity_data_shards"),
        (r#""replication_factor": 0, "redundancy_mode": "hybrid""#, "replication_factor"),
        (r#""data_prefix": 5, "manifest_prefix": "rclonepool_data""#, "data_prefix"),
        (r#""memory_limit_mb": 1"#, "memory_limit_mb"),
    ] {
        let problems = problems_of(&with(more));
        let keys: Vec<&str> = problems.iter().map(|p| p.key.as_str()).collect();
        assert!(keys == [key] || key == "memory_limit_mb", "{problems:?}");
    }
    // A weight cannot be judged while the remotes are unreadable.
    let problems = problems_of(r#"{"remotes": "mega1:", "remote_weights": {"mega1:": 2}, "commit_quorum": 1}"#);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn all_problems_are_listed_in_order_with_their_places() {
    let text = "{\n  \"remotes\": [\"mega1\"],\n  \"chunksize\": 5,\n  \"webdav_port\": \"80\",\n  \"log_level\": \"x\",\n  \"max_retries\": 500\n}";
    let problems = problems_of(text);
    let found: Vec<_> = problems.iter().map(|p| (p.key.as_str(), p.position)).collect();
    let want = [
        ("remotes[0]", Some((2, 3))),
        ("chunksize", Some((3, 3))),
        ("webdav_port", Some((4, 3))),
        ("log_level", Some((5, 3))),
        ("max_retries", Some((6, 3))),
    ];
    assert_eq!(found, want);
    assert_eq!(problems[1].message, "unknown key; did you mean \"chunk_size\"?");
    let error = Config::parse(text).unwrap_err().to_string();
    assert!(error.contains("5 problems") && error.contains("line 3, column 3: chunksize: unknown key"), "{error}");
    assert!(error.contains("rclonepool config schema"), "{error}");
}

#[test]
fn doubled_keys_are_refused_at_every_depth() {
    let problems = problems_of("{\"remotes\": [\"a:\"],\n \"chunk_size\": 70000,\n \"chunk_size\": 80000}");
    assert_eq!((problems[0].key.as_str(), problems[0].position), ("chunk_size", Some((3, 2))));
    assert!(problems[0].message.contains("stands twice; first in line 2"));
    let problems = problems_of("{\"remotes\": [\"a:\"],\n \"remote_weights\": {\"a:\": 1, \"a:\": 2}}");
    assert_eq!((problems.len(), problems[0].key.as_str()), (1, "remote_weights.a:"));
    // Escapes make no other key.
    assert!(problems_of(r#"{"remotes": ["a:"], "rem\u006ftes": ["b:"]}"#)[0].message.contains("stands twice"));
}

#[test]
fn what_is_no_json_object_is_refused_with_the_place() {
    for (text, want, position) in [
        ("", "empty", None),
        (" \n ", "empty", None),
        ("[]", "must be a JSON object", Some((1, 1))),
        ("\"x\"", "must be a JSON object", None),
        ("{\"remotes\": [\"a:\"],}", "trailing comma", Some((1, 20))),
        ("{\n  // a comment\n}", "not valid JSON", Some((2, 3))),
        ("{\"remotes\": [\"a:\"]", "EOF", Some((1, 18))),
        ("{\"remotes\": [\"a:\"]} x", "trailing characters", Some((1, 21))),
        ("{\"retry_delay\": 1e999, \"remotes\": [\"a:\"]}", "1e999 is not allowed", Some((1, 2))),
        ("{\"\\ud800\": 1}", "not valid JSON", Some((1, 2))),
    ] {
        let problem = &problems_of(text)[0];
        assert!(problem.message.contains(want), "{text}: {problem}");
        assert!(position.is_none() || problem.position == position, "{text}: {problem}");
    }
    let deep = format!("{{\"remotes\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    assert!(problems_of(&deep)[0].message.contains("is not allowed"));
    let deep = format!("{{\"remotes\": {}1{}}}", "{\"a\":".repeat(5000), "}".repeat(5000));
    assert!(problems_of(&deep)[0].message.len() < 500);
}

#[test]
fn crypt_rules() {
    for (more, want) in [
        (r#""remotes": ["a:", "b:"], "crypt_remotes": ["c:"]"#, "1 entries for 2 remotes"),
        (r#""remotes": ["a:", "b:"], "crypt_remotes": ["c:", "b:"]"#, "\"b:\" wraps itself: it is remotes[1], too"),
        (r#""remotes": ["a:x", "a:y"]"#, "remotes[0] and remotes[1] would both be wrapped by crypt-a:"),
        (r#""remotes": [":local:/x"]"#, "has no name to make crypt-NAME: of"),
    ] {
        let text = format!("{{\"use_crypt\": true, {more}}}");
        let problems = problems_of(&text);
        assert!(problems[0].message.contains(want), "{problems:?}");
        // Switched off, the rule between the two lists sleeps.
        Config::parse(&text.replace("true", "false")).unwrap();
    }
}

#[test]
fn limits_between_keys() {
    for (more, want) in [
        (
            r#""redundancy_mode": "hybrid", "parity_data_shards": 100, "parity_parity_shards": 100"#,
            "400 objects per chunk",
        ),
        (
            r#""enable_api_server": true, "api_server_host": "0.0.0.0", "api_server_port": 8080"#,
            "give each its own port",
        ),
    ] {
        let problems = problems_of(&with(more));
        assert!(problems[0].message.contains(want), "{problems:?}");
    }
    for more in [
        r#""enable_api_server": true, "api_server_host": "10.0.0.1", "api_server_port": 8080"#,
        r#""api_server_port": 8080, "metrics_port": 8080, "enable_metrics": false"#,
        r#""commit_quorum": 2"#,
        r#""webdav_host": "::1", "api_server_host": "[::]""#,
        r#""webdav_host": "nas.home""#,
    ] {
        Config::parse(&with(more)).unwrap();
    }
    Config::parse(r#"{"remotes": ["a:", "b:"], "commit_quorum": 1}"#).unwrap();
}

#[test]
fn only_argon2id_hashes_are_passwords() {
    let of = |hash: &str| Config::parse(&with(&format!("\"webdav_users\": {{\"ann\": \"{hash}\"}}")));
    let good = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNo";
    of(good).unwrap();
    let wrong = [
        good.replace("argon2id", "argon2i"),
        good.replace("v=19", "v=16"),
        good.replace("t=2", "t=0"),
        good.replace("m=19456,", ""),
        good.replace("c29t", "c 9t"),
        good.trim_start_matches('$').to_owned(),
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM$".to_owned(),
        "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
        String::new(),
    ];
    for hash in wrong {
        let error = of(&hash).expect_err(&hash).to_string();
        assert!(error.contains("rclonepool user add ann") && (hash.is_empty() || !error.contains(&hash)), "{error}");
    }
}

#[test]
fn numbers_made_in_the_program_are_checked_too() {
    let base = || Config { remotes: vec!["a:".into()], ..Config::default() };
    base().validate().unwrap();
    for delay in [f64::NAN, f64::INFINITY, -1.0] {
        let error = Config { retry_delay: delay, ..base() }.validate().unwrap_err();
        assert!(error.to_string().contains("retry_delay"), "{error}");
    }
    let weights = [("a:".to_owned(), f64::NAN)].into();
    assert!(Config { remote_weights: weights, ..base() }.validate().is_err());
}
