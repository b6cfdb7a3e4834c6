//! What changes who belongs to the pool, and how it stores: really done, over REST.

use rclonepool_core::Config;
use serde_json::{Value, json};

use crate::client::{Served, get, load};

/// The rclone to test with: `$RCLONEPOOL_TEST_RCLONE`, else `.venv/bin/rclone` in the repository, else that on `$PATH`.
fn rclone() -> String {
    if let Ok(given) = std::env::var("RCLONEPOOL_TEST_RCLONE") {
        return given;
    }
    let fetched = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/rclone");
    if std::path::Path::new(fetched).exists() { fetched.into() } else { "rclone".into() }
}

/// How many shards lie below a directory.
fn shards(at: &std::path::Path) -> usize {
    let Ok(directories) = std::fs::read_dir(at.join("rclonepool_data")) else { return 0 };
    directories.map(|directory| std::fs::read_dir(directory.unwrap().path()).unwrap().count()).sum()
}

fn file(served: &Served) -> Config {
    load(&served.root.path().join("config.json")).unwrap()
}

async fn done(served: &Served, method: &str, path: &str, body: Value) -> Value {
    let answer = served.rest(method, path, body).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let job = answer.json();
    assert_eq!(job["state"], "done", "{path}: {job}");
    job["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn remotes_come_and_go() {
    let served = Served::with(|config, root| {
        let mut text = String::new();
        for name in ["d4", "d5"] {
            std::fs::create_dir(root.join(name)).unwrap();
            text += &format!("[{name}]\ntype = alias\nremote = {}\n\n", root.join(name).display());
        }
        std::fs::write(root.join("rclone.conf"), text).unwrap();
        config.rclone_config_file = Some(root.join("rclone.conf"));
        config.rclone_binary = rclone().into();
    })
    .await;
    let bytes = vec![7; 300_000];
    served.put("/a", &bytes).await;
    let names = async || -> Vec<String> {
        let listed = served.rest("GET", "/remotes", Value::Null).await.json();
        listed["remotes"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let own = |name: &str| served.root.path().join(name);
    let added = done(&served, "POST", "/remotes?wait=60", json!({"remotes": ["d4:", "d5:"], "alone": true})).await;
    assert_eq!(added["remotes"], json!(["d4:", "d5:"]), "{added}");
    assert_eq!(file(&served).remotes.len(), 5);
    assert_eq!(names().await.len(), 5);
    // One that is new lets itself go again, as nothing lies on it.
    done(&served, "DELETE", "/remotes/d5%3A?alone=true&wait=60", Value::Null).await;
    assert_eq!((file(&served).remotes.len(), names().await.len()), (4, 4));
    let again = served.rest("DELETE", "/remotes/d5%3A?alone=true&wait=60", Value::Null).await;
    assert_eq!(again.status, 404, "{again:?}");
    let missing = served.rest("POST", "/remotes?wait=60", json!({"remotes": ["d9:"], "alone": true})).await;
    assert!(missing.status >= 400 && file(&served).remotes.len() == 4, "{missing:?}");

    // The other one takes shards, and cannot go before it was drained.
    for n in 0..8 {
        served.put(&format!("/b{n}"), &vec![n; 300_000]).await;
    }
    assert!(shards(&own("d4")) > 0);
    let refused = served.rest("DELETE", "/remotes/d4%3A?alone=true&wait=60", Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_argument"));
    assert_eq!(file(&served).remotes.len(), 4);
    done(&served, "POST", "/remotes/d4%3A/drain?wait=60", json!({"alone": true})).await;
    assert_eq!((file(&served).remotes.len(), names().await.len(), shards(&own("d4"))), (3, 3, 0));
    for n in 0..8 {
        assert!(get(served.api, &format!("/api/v1/files/b{n}/content"), &[]).await.body == vec![n; 300_000]);
    }
    assert!(get(served.api, "/api/v1/files/a/content", &[]).await.body == bytes);

    // A disk that burned goes, and what lay on it comes back on the others.
    let lost = own("disk1").display().to_string().replace('/', "%2F");
    std::fs::remove_dir_all(own("disk1")).unwrap();
    served.rest("POST", "/sync", Value::Null).await;
    done(&served, "DELETE", &format!("/remotes/{lost}?lost=true&alone=true&wait=60"), Value::Null).await;
    assert_eq!(file(&served).remotes.len(), 2);
    assert!(get(served.api, "/api/v1/files/a/content", &[]).await.body == bytes);
    let rebuilt = done(&served, "POST", "/rebuild?wait=60", json!({})).await;
    assert!(rebuilt["shards"].as_u64().unwrap() > 0, "{rebuilt}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_the_whole_pool_are_converted() {
    // Chunks of little are rather copied than coded.
    let served = Served::with(|config, _| config.chunk_size = 1 << 20).await;
    let bytes: Vec<u8> = (0..1_200_000u32).map(|i| (i % 251) as u8).collect();
    for path in ["/d/a", "/d/b", "/c"] {
        served.put(path, &bytes).await;
    }
    let copies = async |path: &str| {
        let shards = served.rest("GET", &format!("/files{path}/shards"), Value::Null).await.json();
        let layout = shards["chunks"][0]["layout"].clone();
        (layout["data"].as_u64().unwrap(), layout["parity"].as_u64().unwrap(), layout["copies"].as_u64().unwrap())
    };
    assert_eq!(copies("/d/a").await, (2, 1, 1));
    let ask = json!({"path": "/d", "redundancy": "replication:3", "dry_run": true});
    let planned = done(&served, "POST", "/convert?wait=60", ask).await;
    assert_eq!(planned["plan"]["files"], 2, "{planned}");
    assert_eq!(copies("/d/a").await, (2, 1, 1));
    let ask = json!({"path": "/d", "redundancy": "replication:3"});
    let report = done(&served, "POST", "/convert?wait=60", ask).await;
    assert_eq!((report["failed"].clone(), report["redundancy"].clone()), (json!(0), json!("replication:3")));
    assert_eq!((copies("/d/a").await, copies("/c").await), ((1, 0, 3), (2, 1, 1)));
    assert_eq!(file(&served).redundancy().to_string(), "parity:2+1", "the rest stays as it was");

    // All of it, and what comes later.
    done(&served, "POST", "/convert?wait=60", json!({"redundancy": "replication:2"})).await;
    served.put("/new", &bytes).await;
    for path in ["/d/a", "/d/b", "/c", "/new"] {
        assert_eq!(copies(path).await, (1, 0, 2), "{path}");
        assert!(get(served.api, &format!("/api/v1/files{path}/content"), &[]).await.body == bytes);
    }
    assert_eq!(file(&served).redundancy().to_string(), "replication:2");
    for (body, status) in [
        (json!({"redundancy": "triple"}), 400),
        (json!({}), 400),
        (json!({"redundancy": "none", "path": "/nothing"}), 404),
    ] {
        assert_eq!(served.rest("POST", "/convert?wait=60", body.clone()).await.status, status, "{body}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_remotes_are_a_lack_of_storage() {
    let served = Served::with(|config, _| {
        for remote in config.remotes.clone() {
            config.remote_quotas.insert(remote, serde_json::from_value(json!("200K")).unwrap());
        }
    })
    .await;
    served.put("/fits", &vec![1; 100_000]).await;
    let big = vec![2; 1_000_000];
    for (at, path) in [(served.serve, "/big"), (served.api, "/api/v1/files/big/content")] {
        let answer = crate::client::send(at, "PUT", path, &[], &big).await;
        assert_eq!(answer.status, 507, "{answer:?}");
        assert!(!answer.headers.contains_key("retry-after"), "waiting does not help: {answer:?}");
    }
    assert_eq!(get(served.api, "/api/v1/files/big", &[]).await.status, 404);
    assert_eq!(get(served.serve, "/fits", &[]).await.body.len(), 100_000);
    served.stop().await;
}
