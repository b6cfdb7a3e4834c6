//! The host and its supervision: whatever a plugin does, it ends in an answer or in an error that names it.

use std::time::{Duration, Instant};

use rclonepool_core::ErrorKind;
use rclonepool_core::plugin::{FAILURES_MAX, describe};
use serde_json::{Value, json};

use crate::{TIME, example, loader, made, plugin_with, source, write};

#[test]
fn every_example_says_who_it_is() {
    let dir = tempfile::tempdir().unwrap();
    for (file, id) in [
        ("custom_balancer.py", "balancer:custom_balancer"),
        ("line_chunker.py", "chunker:lines"),
        ("file_store.py", "storage_backend:files"),
        ("lzma_compression.py", "compression:lzma"),
        ("keyed_encryption.py", "encryption:keyed"),
        ("event_log.py", "event_handler:event_log"),
        ("delta_transformer.py", "transformer:delta"),
    ] {
        let found = describe(&[loader()], &example(dir.path(), file), TIME).unwrap();
        assert_eq!(found.len(), 1, "{file}");
        assert_eq!(found[0].id().unwrap().to_string(), id);
        assert!(found[0].version.starts_with('1') && !found[0].description.is_empty());
    }
}

#[test]
fn what_is_no_plugin_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let wrong_kind = "from plugin_system import *\nclass P(ChunkerPlugin):\n  def get_metadata(self):\n    \
                      return PluginMetadata(name='x', version='1', plugin_type=PluginType.BALANCER)\n";
    let bad_name = "from plugin_system import *\nclass P(BalancerPlugin):\n  def get_metadata(self):\n    \
                    return PluginMetadata(name='../x', version='1', plugin_type=PluginType.BALANCER)\n";
    for (text, said) in [
        ("x = 1\n", "has no class"),
        ("def f(:\n", "SyntaxError"),
        ("import nothing_of_that_name\n", "nothing_of_that_name"),
        ("raise SystemExit(3)\n", "SystemExit"),
        ("import os\nos._exit(7)\n", "died"),
        (wrong_kind, "not derived from BalancerPlugin"),
        (bad_name, "no name of a plugin"),
    ] {
        let file = write(dir.path(), "p.py", text);
        let error = describe(&[loader()], &file, TIME).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.to_string().contains(said) && error.to_string().contains("p.py"), "{error}");
    }
    let other = write(dir.path(), "p.txt", "");
    assert_eq!(describe(&[loader()], &other, TIME).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn calls_bring_bytes_and_values_and_printing_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let body = "def transform(self, data):\n    print('hello'); sys.stdout.flush(); os.write(1, b'raw')\n    return data[::-1]";
    let plugin = made(dir.path(), "transformer:x", body);
    for size in [0, 1, 100_000, 10 << 20] {
        let bytes: Vec<u8> = (0..size).map(|n| n as u8).collect();
        let answer = plugin.call("transform", json!({}), &bytes).unwrap();
        assert!(answer.data.iter().rev().eq(&bytes), "{size}");
    }
    assert_eq!(plugin.metadata().unwrap().version, "1.0");
}

#[test]
fn raising_is_an_error_and_no_end() {
    let dir = tempfile::tempdir().unwrap();
    let body = "def transform(self, data):\n    if data == b'bad': raise ValueError('not this')\n    \
                if data == b'exit': sys.exit(1)\n    if data == b'text': return 'text'\n    return data";
    let plugin = made(dir.path(), "transformer:x", body);
    for _ in 0..5 {
        for (bad, said) in [("bad", "ValueError: not this"), ("exit", "SystemExit"), ("text", "gave str")] {
            let error = plugin.call("transform", json!({}), bad.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said) && error.to_string().contains("transformer:x"), "{error}");
        }
        assert_eq!(plugin.call("transform", json!({}), b"good").unwrap().data, b"good");
    }
}

#[test]
fn who_hangs_or_dies_is_ended_and_named_and_set_aside_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let body = "def transform(self, data):\n    if data == b'die': os._exit(9)\n    \
                if data == b'hang': time.sleep(1000)\n    return data";
    for (bad, said) in [("die", "died"), ("hang", "hangs")] {
        let file = source(dir.path(), "transformer:x", "1.0", body);
        let plugin = plugin_with("transformer:x", file, Value::Null, Duration::from_millis(1500));
        for n in 1..=FAILURES_MAX {
            // Each is started anew.
            assert_eq!(plugin.call("transform", json!({}), b"good").unwrap().data, b"good", "{n}");
            let since = Instant::now();
            let error = plugin.call("transform", json!({}), bad.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(said) && error.to_string().contains("transformer:x"), "{error}");
            assert!(since.elapsed() < Duration::from_secs(8));
        }
        assert!(plugin.is_aside());
        let error = plugin.call("transform", json!({}), b"good").unwrap_err();
        assert!(error.to_string().contains("set aside after 3 failures"), "{error}");
    }
}

#[test]
fn nonsense_between_the_frames_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    // A plugin that finds the socket and writes to it by itself.
    let body = "def transform(self, data):\n    for fd in range(3, 20):\n        try: os.write(fd, data)\n        \
                except OSError: pass\n    return data";
    let long = [b"RPP1".as_slice(), &[255; 8]].concat();
    let text = [b"RPP1".as_slice(), &[3, 0, 0, 0, 0, 0, 0, 0], b"[1]"].concat();
    let other = [b"RPP1".as_slice(), &[11, 0, 0, 0, 0, 0, 0, 0], b"{\"call\": 0}"].concat();
    for nonsense in [b"what is this, no frame".to_vec(), long, text, other] {
        let plugin = made(dir.path(), "transformer:x", body);
        let error = plugin.call("transform", json!({}), &nonsense).unwrap_err();
        assert!(error.to_string().contains("nonsense") && error.to_string().contains("transformer:x"), "{error}");
    }
}

#[test]
fn what_cannot_start_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let failing = made(dir.path(), "balancer:x", "def initialize(self, config):\n    raise RuntimeError('no key')");
    assert!(failing.metadata().unwrap_err().to_string().contains("RuntimeError: no key"));
    let hanging = source(dir.path(), "balancer:y", "1.0", "def initialize(self, config):\n    time.sleep(1000)");
    let hanging = plugin_with("balancer:y", hanging, Value::Null, Duration::from_millis(300));
    assert!(hanging.metadata().unwrap_err().to_string().contains("balancer:y does not start: hangs"));
    let absent = plugin_with("balancer:z", dir.path().join("none.py"), Value::Null, TIME);
    assert_eq!(absent.metadata().unwrap_err().kind(), ErrorKind::NotFound);
    let other = plugin_with("balancer:other", source(dir.path(), "balancer:x", "1", "pass"), Value::Null, TIME);
    assert!(other.metadata().unwrap_err().to_string().contains("has no balancer:other"));
}

#[test]
fn what_others_may_write_is_not_run() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("ran");
    let file = write(dir.path(), "p.py", &format!("open({:?}, 'w')\n", trace.display().to_string()));
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(describe(&[loader()], &file, TIME).unwrap_err().kind(), ErrorKind::Auth);
    let plugin = plugin_with("balancer:p", file, Value::Null, TIME);
    assert_eq!(plugin.metadata().unwrap_err().kind(), ErrorKind::Auth);
    assert!(!trace.exists());
}
