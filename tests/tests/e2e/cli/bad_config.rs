//! Wrong configurations: every problem is named, nothing is touched.

use rclonepool_tests::cli::Machine;

#[test]
fn every_problem_of_a_configuration_is_named() {
    let machine = Machine::new();
    machine.write_config(
        "{\n  \"remotes\": [\"mega1\", \"/mnt/../x\"],\n  \"chunksize\": 5,\n  \"max_retries\": \"three\",\n  \"memory_limit_mb\": 1,\n  \
         \"parity_data_shards\": 0\n}",
    );
    let error = machine.fails(7, &["ls"]);
    for part in [
        "did you mean \"mega1:\"",
        "'..'",
        "chunksize",
        "did you mean \"chunk_size\"",
        "max_retries",
        "memory_limit_mb",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let outcome = machine.run(&["config", "validate"]);
    assert_eq!(outcome.code, 7);
    insta::assert_snapshot!("config-problems", machine.stable(&outcome.stdout));
    let problems = machine.run(&["--json", "config", "validate"]);
    assert_eq!(problems.json_lines()[0]["message_type"], "problem");
    assert_eq!(problems.json_error()["kind"], "config");
}

#[test]
fn texts_that_are_no_configuration() {
    let machine = Machine::new();
    for (text, why) in [
        ("", "empty"),
        ("{", "not valid JSON"),
        ("[]", "must be a JSON object"),
        ("{}", "no remotes"),
        ("{\"remotes\": []}", "no remotes"),
        ("{\"remotes\": [\"/a\"], \"remotes\": [\"/b\"]}", "stands twice"),
        ("{\"remotes\": \"/a\"}", "remotes"),
    ] {
        machine.write_config(text);
        let error = machine.fails(7, &["status"]);
        assert!(error.contains(why) && error.contains("config.json"), "{text}: {error}");
    }
    std::fs::remove_file(machine.config_path()).unwrap();
    std::fs::create_dir(machine.config_path()).unwrap();
    machine.fails(1, &["status"]);
}

#[test]
fn what_has_no_effect_is_said_once_and_only_where_it_was_asked_for() {
    let machine = Machine::with_pool(1, "none", "64K");
    assert_eq!(machine.run(&["ls"]).stderr, "");
    machine.configure(|config| {
        config.insert("enable_plugins".into(), false.into());
        config.insert("plugins".into(), serde_json::json!({"balancer:x": {"enabled": true}}));
    });
    let said = machine.run(&["ls"]).stderr;
    assert!(said.lines().count() == 1 && said.contains("plugins has no effect while enable_plugins is off"), "{said}");
    assert_eq!(machine.run(&["-q", "ls"]).stderr, "");
    let validated = machine.ok(&["config", "validate"]);
    assert!(validated.contains("plugins has no effect") && validated.contains("in order"), "{validated}");
}

#[test]
fn secrets_are_masked() {
    let machine = Machine::new();
    machine.write_config(
        r#"{"remotes": ["/disk", ":sftp,host=nas,pass=hunter2:pool"], "rclone_flags": ["--sftp-pass=hunter2"]}"#,
    );
    let shown = machine.ok(&["config", "show"]);
    assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((shown["chunk_size"].as_u64(), shown["redundancy_mode"].as_str()), (Some(104_857_600), Some("none")));
    assert_eq!(shown["manifest_cache_dir"], machine.text("home/.cache/rclonepool"));
    let schema: serde_json::Value = serde_json::from_str(&machine.ok(&["config", "schema"])).unwrap();
    assert!(schema["properties"]["redundancy_mode"].is_object());
}

#[test]
fn the_complete_example_of_the_documentation_is_in_order() {
    let machine = Machine::new();
    let documented = rclonepool_tests::repository::read("docs/configuration.md");
    assert!(documented.contains("```json"));
    machine.file("cert.pem", "");
    machine.write_config(
        &r#"{
        "remotes": ["mega1:", "mega2:", "mega3:"], "chunk_size": 104857600, "data_prefix": "rclonepool_data",
        "manifest_prefix": "rclonepool_manifests", "use_crypt": true,
        "crypt_remotes": ["crypt-mega1:", "crypt-mega2:", "crypt-mega3:"], "temp_dir": "/dev/shm/rclonepool",
        "rclone_binary": "rclone", "rclone_flags": ["--fast-list", "--no-traverse"], "webdav_port": 8080,
        "webdav_host": "0.0.0.0", "enable_retry": true, "max_retries": 3, "retry_delay": 1.0,
        "enable_manifest_cache": true, "manifest_cache_dir": "~/.cache/rclonepool",
        "enable_duplicate_detection": true, "parallel_uploads": true, "parallel_downloads": true,
        "max_parallel_workers": 4, "enable_chunk_cache": true, "chunk_cache_size_mb": 500, "enable_prefetch": true,
        "prefetch_chunks": 2, "show_progress": true, "balancing_strategy": "round_robin_least_used",
        "remote_weights": {}, "remote_priorities": {}, "auto_rebalance": false, "rebalance_threshold": 10.0,
        "redundancy_mode": "parity", "replication_factor": 2, "parity_data_shards": 3, "parity_parity_shards": 1,
        "enable_health_monitoring": true, "health_check_interval": 3600, "enable_deduplication": true,
        "enable_compression": true, "compression_level": 3, "bandwidth_limit_upload_mbps": 0,
        "bandwidth_limit_download_mbps": 0, "webdav_auth_method": "api_key", "enable_https": true,
        "ssl_cert_file": "CERT", "ssl_key_file": "CERT", "enable_webui": true, "enable_api_server": true,
        "api_server_host": "0.0.0.0", "api_server_port": 8081, "enable_plugins": true,
        "plugins_dir": "~/.config/rclonepool/plugins", "log_level": "INFO", "enable_metrics": true,
        "metrics_port": 9090}"#
            .replace("CERT", &machine.text("cert.pem")),
    );
    let said = machine.ok(&["config", "validate"]);
    assert!(said.contains("in order") && !said.contains("no effect"), "{said}");
}
