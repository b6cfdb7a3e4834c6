//! No key without a test, no key that is said to do nothing without having been tried.

use rclonepool_core::config::reference;
use rclonepool_tests::cli::Machine;

/// Keys and the test that shows their effect.
const TESTED: [(&str, &str); 84] = [
    ("remotes", "format::remotes_are_where_shards_lie"),
    ("pool_id", "format::pool_id_names_the_pool"),
    ("chunk_size", "format::chunk_size_cuts_files"),
    ("chunker", "format::chunker_cuts_by_content"),
    ("data_prefix", "format::prefixes_are_where_objects_lie"),
    ("manifest_prefix", "format::prefixes_are_where_objects_lie"),
    ("use_crypt", "rclone::use_crypt_and_crypt_remotes"),
    ("crypt_remotes", "rclone::use_crypt_and_crypt_remotes"),
    ("temp_dir", "rclone::temp_dir_holds_the_socket"),
    ("rclone_binary", "rclone::rclone_binary_is_what_runs"),
    ("rclone_config_file", "rclone::rclone_config_file_is_read"),
    ("rclone_flags", "rclone::rclone_flags_reach_rclone"),
    ("enable_rclone_daemon", "rclone::without_the_daemon_every_operation_is_a_process"),
    ("rclone_daemon_port", "rclone::rclone_daemon_port_is_listened_on"),
    ("remote_connections", "transfer::remote_connections_bound_what_one_remote_gets"),
    ("operation_timeout", "transfer::operation_timeout_ends_what_hangs"),
    ("commit_offer_timeout", "journal::commit_offer_timeout_waits_for_slow_remotes"),
    ("memory_limit_mb", "transfer::memory_limit_mb_bounds_chunks_in_flight"),
    ("commit_quorum", "journal::commit_quorum_asks_for_more_remotes"),
    ("enable_retry", "transfer::retries"),
    ("max_retries", "transfer::retries"),
    ("retry_delay", "transfer::retries"),
    ("enable_manifest_cache", "journal::the_index_is_kept_where_and_if_it_is_said"),
    ("manifest_cache_dir", "journal::the_index_is_kept_where_and_if_it_is_said"),
    ("enable_duplicate_detection", "transfer::enable_duplicate_detection_skips"),
    ("trash_retention_hours", "freeing::trash_retention_hours_keeps_versions"),
    ("sole_writer", "freeing::sole_writer_frees_at_once"),
    ("enable_lifeboat", "format::enable_lifeboat_stores_the_reader"),
    ("parallel_uploads", "transfer::workers"),
    ("parallel_downloads", "transfer::workers"),
    ("max_parallel_workers", "transfer::workers"),
    ("show_progress", "transfer::show_progress_silences_progress"),
    ("file_hashes", "format::file_hashes_are_kept"),
    ("enable_deduplication", "format::equal_content_is_stored_once"),
    ("enable_compression", "format::compression_stores_less"),
    ("compression_level", "format::compression_stores_less"),
    ("enable_chunk_cache", "reading::the_chunk_cache_keeps_what_was_read"),
    ("chunk_cache_size_mb", "reading::the_chunk_cache_keeps_what_was_read"),
    ("enable_prefetch", "reading::prefetching_reads_chunks_side_by_side"),
    ("prefetch_chunks", "reading::prefetching_reads_chunks_side_by_side"),
    ("balancing_strategy", "placement::balancing_strategy_chooses"),
    ("remote_weights", "placement::remote_weights_share_out"),
    ("remote_priorities", "placement::remote_priorities_come_first"),
    ("remote_quotas", "placement::remote_quotas_bound"),
    ("failure_domains", "placement::failure_domains_are_kept_apart"),
    ("redundancy_mode", "format::redundancy_makes_the_shards"),
    ("replication_factor", "format::redundancy_makes_the_shards"),
    ("parity_data_shards", "format::redundancy_makes_the_shards"),
    ("parity_parity_shards", "format::redundancy_makes_the_shards"),
    ("enable_health_monitoring", "care::health_is_watched_at_every_interval"),
    ("health_check_interval", "care::health_is_watched_at_every_interval"),
    ("auto_heal", "care::auto_heal_rebuilds_what_a_watch_finds"),
    ("auto_rebalance", "care::auto_rebalance_fills_a_remote_that_joins"),
    ("rebalance_threshold", "care::auto_rebalance_fills_a_remote_that_joins"),
    ("bandwidth_limit_upload_mbps", "transfer::bandwidth_limits_slow_transfers"),
    ("bandwidth_limit_download_mbps", "transfer::bandwidth_limits_slow_transfers"),
    ("remote_limits", "transfer::remote_limits_slow_and_refuse"),
    ("log_level", "transfer::log_level_says_how_much"),
    ("webdav_host", "server::hosts_and_ports_are_listened_on"),
    ("webdav_port", "server::hosts_and_ports_are_listened_on"),
    ("webdav_auth_method", "server::users_sign_in_as_the_configuration_says"),
    ("webdav_users", "server::users_sign_in_as_the_configuration_says"),
    ("users", "server::users_sign_in_as_the_configuration_says"),
    ("server_base_path", "server::proxies_origins_and_base_path"),
    ("trusted_proxies", "server::proxies_origins_and_base_path"),
    ("cors_origins", "server::proxies_origins_and_base_path"),
    ("shutdown_timeout", "server::shutdown_timeout_bounds_the_end"),
    ("sync_interval", "server::sync_interval_shows_what_others_write"),
    ("enable_https", "server::https_by_the_certificate_that_is_given"),
    ("ssl_cert_file", "server::https_by_the_certificate_that_is_given"),
    ("ssl_key_file", "server::https_by_the_certificate_that_is_given"),
    ("enable_webui", "server::enable_webui_offers_a_page"),
    ("enable_api_server", "server::hosts_and_ports_are_listened_on"),
    ("api_server_host", "server::hosts_and_ports_are_listened_on"),
    ("api_server_port", "server::hosts_and_ports_are_listened_on"),
    ("api_local_roots", "server::api_local_roots_may_be_read"),
    ("enable_metrics", "server::hosts_and_ports_are_listened_on"),
    ("metrics_host", "server::hosts_and_ports_are_listened_on"),
    ("metrics_port", "server::hosts_and_ports_are_listened_on"),
    ("enable_plugins", "plugins::enable_plugins_plugins_and_plugins_dir_put_them_in_force"),
    ("plugins", "plugins::enable_plugins_plugins_and_plugins_dir_put_them_in_force"),
    ("plugins_dir", "plugins::enable_plugins_plugins_and_plugins_dir_put_them_in_force"),
    ("plugin_timeout", "plugins::plugin_timeout_ends_what_hangs"),
    ("plugin_python", "plugins::plugin_python_runs_them"),
];

#[test]
fn every_key_has_its_test() {
    let keys: Vec<String> = reference().into_iter().map(|doc| doc.key).collect();
    let tested: Vec<&str> = TESTED.iter().map(|(key, _)| *key).collect();
    for key in &keys {
        assert!(tested.contains(&key.as_str()), "{key} has no test");
    }
    assert_eq!(tested.len(), keys.len(), "each once");
    let sources = [
        "care",
        "coverage",
        "format",
        "freeing",
        "journal",
        "placement",
        "plugins",
        "rclone",
        "reading",
        "server",
        "transfer",
    ];
    let text: String = sources
        .iter()
        .map(|name| rclonepool_tests::repository::read(format!("tests/tests/config_effects/{name}.rs")))
        .collect();
    for (key, test) in TESTED {
        let name = test.split("::").last().unwrap();
        assert!(text.contains(&format!("fn {name}()")), "{key}: there is no test {test}");
    }
}

fn with(key: &str, value: &str) -> String {
    format!("{{\"remotes\": [\"/disk\"], \"{key}\": {value}}}")
}

#[test]
fn values_are_checked_while_their_feature_is_off() {
    let machine = Machine::new();
    let more = [("ssl_key_file", "\"relative\""), ("plugins_dir", "\"relative\""), ("webdav_host", "\"\"")];
    for (key, bad) in more {
        machine.write_config(&with(key, bad));
        let outcome = machine.run(&["config", "validate"]);
        assert!(outcome.code == 7 && outcome.stdout.contains(key), "{key}: {outcome:?}");
    }
}
