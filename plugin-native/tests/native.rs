//! Shared libraries as plugins: the example in C, and libraries that are none.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rclonepool_core::ErrorKind;
use rclonepool_core::plugin::{FAILURES_MAX, Plugin, describe};
use rclonepool_plugin_native::loader;
use serde_json::{Map, Value, json};

const TIME: Duration = Duration::from_secs(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn built(dir: &Path, name: &str, source: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let (from, to) = (dir.join(format!("{name}.c")), dir.join(name).with_extension(std::env::consts::DLL_EXTENSION));
    std::fs::write(&from, source).unwrap();
    let flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-shared", "-fPIC", "-O1", "-o"];
    let include = root().join("include");
    let done = Command::new("cc").args(flags).arg(&to).arg("-I").arg(include).arg(&from).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::set_permissions(&to, std::fs::Permissions::from_mode(0o700)).unwrap();
    to
}

fn xor(dir: &Path) -> PathBuf {
    built(dir, "xor", &std::fs::read_to_string(root().join("examples/plugins/native/xor.c")).unwrap())
}

fn plugin(id: &str, file: PathBuf) -> Arc<Plugin> {
    Plugin::new(id.parse().unwrap(), file, loader(), Map::new(), TIME)
}

#[test]
fn the_example_in_c_changes_bytes_and_back() {
    let dir = tempfile::tempdir().unwrap();
    let file = xor(dir.path());
    let found = describe(&[loader()], &file, TIME).unwrap();
    assert_eq!((found.len(), found[0].id().unwrap().to_string().as_str()), (1, "transformer:xor"));
    let plugin = plugin("transformer:xor", file);
    for size in [0usize, 1, 100_000, 4 << 20] {
        let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
        let changed = plugin.call("transform", json!({}), &bytes).unwrap().data;
        assert!(changed.iter().zip(&bytes).all(|(a, b)| *a == b ^ 0x55) && changed.len() == size);
        assert!(plugin.call("restore", json!({}), &changed).unwrap().data == bytes);
    }
    for _ in 0..2 * FAILURES_MAX {
        let error = plugin.call("encrypt", json!({}), b"x").unwrap_err();
        assert!(error.to_string().contains("transformer:xor failed: LookupError: a transformer has"), "{error}");
    }
    assert!(!plugin.is_aside(), "to refuse is not to break");
}

#[test]
fn what_is_no_plugin_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let table = |fields: &str| {
        format!(
            "#include \"rclonepool_plugin.h\"\n\
             static const char *none(void) {{ return NULL; }}\nstatic const char *bad(void) {{ return \"[1]\"; }}\n\
             static const char *name(void) {{ return \"[{{\\\"name\\\":\\\"a/b\\\",\\\"version\\\":\\\"1\\\",\\\"plugin_type\\\":\\\"chunker\\\"}}]\"; }}\n\
             const rclonepool_plugin_table *rclonepool_plugin(void) {{\n\
             static const rclonepool_plugin_table table = {{ {fields} }};\n(void)none, (void)bad, (void)name;\nreturn &table; }}\n"
        )
    };
    let whole = "sizeof(rclonepool_plugin_table)";
    for (name, source, said) in [
        ("other", "int nothing(void); int nothing(void) { return 1; }".to_owned(), "no function rclonepool_plugin"),
        (
            "null",
            "#include \"rclonepool_plugin.h\"\nconst rclonepool_plugin_table *rclonepool_plugin(void) { return NULL; }"
                .to_owned(),
            "no table",
        ),
        ("later", table(&format!("2, {whole}, none, NULL, NULL, NULL")), "version 2 of rclonepool_plugin.h"),
        ("short", table("1, 8, none, NULL, NULL, NULL"), "table has 8 bytes"),
        ("empty", table(&format!("1, {whole}, NULL, NULL, NULL, NULL")), "lacks describe"),
        ("silent", table(&format!("1, {whole}, none, NULL, NULL, NULL")), "says nothing"),
        ("bad", table(&format!("1, {whole}, bad, NULL, NULL, NULL")), "metadata is wrong"),
        ("name", table(&format!("1, {whole}, name, NULL, NULL, NULL")), "no name of a plugin"),
    ] {
        let error = describe(&[loader()], &built(dir.path(), name, &source), TIME).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
        assert!(error.to_string().contains(said), "{error}");
    }
    let text = dir.path().join("text").with_extension(std::env::consts::DLL_EXTENSION);
    std::fs::write(&text, "no library").unwrap();
    assert!(describe(&[loader()], &text, TIME).is_err());
}

#[test]
fn nonsense_and_refusals_are_errors_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let source = r#"
#include "rclonepool_plugin.h"
#include <string.h>
static const char *describe(void) { return "[{\"name\":\"x\",\"version\":\"1\",\"plugin_type\":\"balancer\"}]"; }
static int made;
static void *create(const char *kind, const char *name, const char *config, const rclonepool_plugin_host *host, rclonepool_plugin_reply *reply) {
    (void)kind, (void)name;
    if (strstr(config, "refuse") != NULL) { host->error(reply, "ValueError", "not with this"); return NULL; }
    return &made;
}
static int32_t call(void *plugin, const char *method, const char *args, const uint8_t *data, size_t size, const rclonepool_plugin_host *host, rclonepool_plugin_reply *reply) {
    (void)plugin, (void)args, (void)data, (void)size;
    if (strcmp(method, "silent") == 0) return 1;
    host->value(reply, strcmp(method, "json") == 0 ? "{\"a\":[1,null]}" : "{nonsense");
    return 0;
}
static void destroy(void *plugin) { (void)plugin; }
const rclonepool_plugin_table *rclonepool_plugin(void) {
    static const rclonepool_plugin_table table = { RCLONEPOOL_PLUGIN_ABI, sizeof table, describe, create, call, destroy };
    return &table;
}
"#;
    let file = built(dir.path(), "x", source);
    let made = plugin("balancer:x", file.clone());
    assert_eq!(made.call("json", json!({}), &[]).unwrap().value, json!({"a": [1, null]}));
    for (method, said) in [("silent", "did not say why"), ("other", "answered nonsense")] {
        let error = made.call(method, json!({}), &[]).unwrap_err();
        assert!(error.to_string().contains(said) && error.to_string().contains("balancer:x"), "{error}");
    }
    let config: Map<String, Value> = Map::from_iter([("refuse".to_owned(), Value::Bool(true))]);
    let refusing = Plugin::new("balancer:x".parse().unwrap(), file, loader(), config, TIME);
    assert!(refusing.metadata().unwrap_err().to_string().contains("ValueError: not with this"));
}

#[test]
fn what_others_may_write_is_not_loaded() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let file = xor(dir.path());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o775)).unwrap();
    assert_eq!(describe(&[loader()], &file, TIME).unwrap_err().kind(), ErrorKind::Auth);
    assert_eq!(plugin("transformer:xor", file).metadata().unwrap_err().kind(), ErrorKind::Auth);
}
