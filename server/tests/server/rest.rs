//! REST over a pool of directories.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Served, get, rest, send};

#[tokio::test(flavor = "multi_thread")]
async fn files_come_and_go() {
    let served = Served::new().await;
    let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    let put =
        send(served.api, "PUT", "/api/v1/files/dir%2Fa%20b/content", &[("Content-Type", "video/x")], &bytes).await;
    assert_eq!((put.status, put.json()["path"].clone()), (201, json!("/dir/a b")));
    assert!(put.headers.contains_key("etag"));
    let info = served.rest("GET", "/files/dir/a%20b", Value::Null).await.json();
    assert_eq!((info["size"].clone(), info["kind"].clone()), (json!(200_000), json!("file")));
    assert!(info["chunks"].as_u64().unwrap() >= 3 && info["modified"].as_str().unwrap().ends_with('Z'), "{info}");
    let whole = get(served.api, "/api/v1/files/dir/a%20b/content", &[]).await;
    assert!(whole.status == 200 && whole.body == bytes);
    let part = get(served.api, "/api/v1/files/dir/a%20b/content", &[("Range", "bytes=65530-65545")]).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &bytes[65530..65546]));
    assert_eq!(part.headers["content-range"], "bytes 65530-65545/200000");
    let shards = served.rest("GET", "/files/dir/a%20b/shards", Value::Null).await.json();
    assert!(shards["chunks"][0]["shards"].as_array().unwrap().len() >= 2, "{shards}");
    let health = served.rest("GET", "/files/dir/a%20b/health", Value::Null).await.json();
    assert_eq!((health["state"].clone(), health["tolerated_remotes"].clone()), (json!("healthy"), json!(1)));

    // A file whose name is that of an operation is reached by encoding its slash.
    served.put("/dir%2Fcontent", b"named so").await;
    assert_eq!(get(served.api, "/api/v1/files/dir%2Fcontent", &[]).await.json()["size"], 8);
    assert_eq!(get(served.api, "/api/v1/files/dir%2Fcontent/content", &[]).await.body, b"named so");

    let listed = served.rest("GET", "/files?dir=/", Value::Null).await.json();
    assert_eq!(listed["entries"][0]["kind"], "directory");
    let paged = served.rest("GET", "/files?dir=/dir&limit=1", Value::Null).await.json();
    assert_eq!((paged["entries"].as_array().unwrap().len(), paged["next"].clone()), (1, json!("/dir/a b")));
    let next = served.rest("GET", "/files?dir=/dir&limit=1&after=%2Fdir%2Fa%20b", Value::Null).await.json();
    assert_eq!((next["entries"][0]["path"].clone(), next.get("next")), (json!("/dir/content"), None));
    let all = served.rest("GET", "/files?recursive=true", Value::Null).await.json();
    assert_eq!(all["entries"].as_array().unwrap().len(), 2);
    let found = served.rest("GET", "/search?q=CONT", Value::Null).await.json();
    assert_eq!(found["entries"][0]["path"], "/dir/content");

    assert_eq!(served.rest("POST", "/mkdir", json!({"path": "/empty"})).await.json()["kind"], "directory");
    let moved = json!({"from": "/dir/content", "to": "/moved"});
    assert_eq!(served.rest("POST", "/move", moved).await.json()["entries"], 1);
    let copied = json!({"from": "/moved", "to": "/copied"});
    assert_eq!(served.rest("POST", "/copy", copied.clone()).await.json()["entries"], 1);
    assert_eq!(served.rest("POST", "/copy", copied).await.status, 409);
    assert_eq!(get(served.api, "/api/v1/files/copied/content", &[]).await.body, b"named so");
    let refused = served.rest("DELETE", "/files/dir", Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_argument"));
    assert_eq!(served.rest("DELETE", "/files/dir?recursive=true", Value::Null).await.json()["entries"], 1);
    assert_eq!(served.rest("DELETE", "/files/dir", Value::Null).await.status, 404);
    assert_eq!(served.rest("DELETE", "/files/%2F?recursive=true", Value::Null).await.status, 400, "never the root");
    let trash = served.rest("GET", "/trash", Value::Null).await.json();
    let version = trash["versions"].as_array().unwrap().iter().find(|one| one["path"] == "/dir/a b").unwrap();
    let restored = json!({"path": "/dir/a b", "version": version["version"], "to": "/back"});
    assert_eq!(served.rest("POST", "/trash/restore", restored).await.json()["paths"][0], "/back");
    assert!(get(served.api, "/api/v1/files/back/content", &[]).await.body == bytes);
    assert!(served.rest("DELETE", "/trash", Value::Null).await.json()["versions"].as_u64().unwrap() >= 1);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_is_told_and_cared_for() {
    let served = Served::new().await;
    served.put("/a", &vec![7; 300_000]).await;
    let status = served.rest("GET", "/status", Value::Null).await.json();
    assert_eq!((status["files"].clone(), status["complete_view"].clone()), (json!(1), json!(true)));
    assert_eq!(status["remotes"].as_array().unwrap().len(), 3);
    let stats = served.rest("GET", "/stats", Value::Null).await.json();
    let disk = served.root.path().join("disk1");
    assert!(stats["remotes"][disk.to_str().unwrap()]["bytes_up"].as_u64().unwrap() > 0, "{stats}");
    assert_eq!(served.rest("GET", "/health", Value::Null).await.json()["state"], "healthy");
    assert_eq!(served.rest("GET", "/remotes", Value::Null).await.json()["remotes"][0]["online"], true);
    assert!(served.rest("GET", "/balance-status", Value::Null).await.json()["variance"].is_number());
    assert_eq!(served.rest("POST", "/sync", Value::Null).await.json()["online"], 3);

    let job = served.rest("POST", "/verify", json!({"file_path": "/a", "level": "deep"})).await;
    assert_eq!((job.status, job.json()["kind"].clone()), (202, json!("verify")));
    let location = job.headers["location"].clone();
    let mut ended = Value::Null;
    for _ in 0..100 {
        ended = get(served.api, &location, &[]).await.json();
        if ended["state"] != "running" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(
        (ended["state"].clone(), ended["result"]["state"].clone()),
        (json!("done"), json!("healthy")),
        "{ended}"
    );
    assert!(ended["result"]["checked"]["bytes_read"].as_u64().unwrap() >= 450_000);

    // A lost shard is found and rebuilt.
    let shard = std::fs::read_dir(disk.join("rclonepool_data"))
        .unwrap()
        .flat_map(|dir| std::fs::read_dir(dir.unwrap().path()).unwrap())
        .next()
        .unwrap();
    std::fs::remove_file(shard.unwrap().path()).unwrap();
    let found = served.rest("POST", "/verify?wait=30", json!({})).await;
    assert_eq!((found.status, found.json()["result"]["shards"]["missing"].clone()), (200, json!(1)), "{found:?}");
    let planned = served.rest("POST", "/rebuild?wait=30", json!({"dry_run": true})).await.json();
    assert_eq!(planned["result"]["plan"]["chunks"].as_array().unwrap().len(), 1);
    let rebuilt = served.rest("POST", "/rebuild?wait=30", json!({})).await.json();
    assert_eq!(rebuilt["result"]["shards"], 1, "{rebuilt}");
    for (path, body) in [("/rebalance", json!({"dry_run": true})), ("/orphans", json!({})), ("/gc", json!({}))] {
        let done = served.rest("POST", &format!("{path}?wait=60"), body).await;
        assert_eq!((done.status, done.json()["state"].clone()), (200, json!("done")), "{path}");
    }
    let failed = served.rest("POST", "/verify?wait=30", json!({"file_path": "/nothing"})).await;
    assert_eq!((failed.status, failed.code().as_str()), (404, "not_found"));
    let jobs = served.rest("GET", "/jobs", Value::Null).await.json();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 8);
    assert_eq!(served.rest("GET", "/jobs/0123", Value::Null).await.status, 404);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_the_server_are_read_only_where_they_may() {
    let served = Served::with(|config, root| {
        std::fs::create_dir(root.join("import")).unwrap();
        config.api_local_roots = vec![root.join("import")];
    })
    .await;
    let root = served.root.path().to_str().unwrap().to_owned();
    std::fs::write(served.root.path().join("import/movie"), vec![3; 100_000]).unwrap();
    std::fs::write(served.root.path().join("secret"), b"secret").unwrap();
    std::os::unix::fs::symlink(served.root.path().join("secret"), served.root.path().join("import/link")).unwrap();
    let upload = |local: String| json!({"local_path": local, "remote_path": "/movie"});
    let good = served.rest("POST", "/files?wait=30", upload(format!("{root}/import/movie"))).await;
    assert_eq!((good.status, good.json()["result"]["bytes"].clone()), (200, json!(100_000)), "{good:?}");
    for bad in [
        format!("{root}/secret"),
        format!("{root}/import/../secret"),
        format!("{root}/import/link"),
        format!("{root}/import-other"),
        "/etc/passwd".into(),
        "import/movie".into(),
        format!("{root}/import/nothing"),
    ] {
        let refused = served.rest("POST", "/files?wait=30", upload(bad.clone())).await;
        assert_eq!((refused.status, refused.code().as_str()), (403, "local_path_not_allowed"), "{bad}");
        let repair = json!({"file_path": "/movie", "local_source": bad});
        assert_eq!(served.rest("POST", "/repair", repair).await.status, 403);
    }
    let repair = json!({"file_path": "/movie", "local_source": format!("{root}/import/movie"), "dry_run": true});
    let checked = served.rest("POST", "/repair?wait=30", repair).await;
    assert_eq!((checked.status, checked.json()["result"]["damaged"].clone()), (200, json!([])), "{checked:?}");
    let remote = json!({"remotes": ["/etc"]});
    assert_eq!(served.rest("POST", "/remotes", remote).await.status, 403, "no directories of the server either");
    let drained = format!("/remotes/{}/drain?wait=30", format!("{root}/disk1").replace('/', "%2F"));
    let planned = served.rest("POST", &drained, json!({"dry_run": true})).await.json();
    assert!(planned["result"]["plan"]["shards"].as_u64().unwrap() > 0, "{planned}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_a_problem_and_never_a_bug() {
    let served = Served::new().await;
    for path in [
        "/files/../../etc/passwd",
        "/files/%2e%2e/%2e%2e/etc/passwd",
        "/files/a%00b",
        "/files/%ff",
        "/files/.rclonepool/x",
        "/files?dir=relative",
        "/files?limit=0",
        "/files?limit=x",
        "/search?q=",
        "/search",
    ] {
        let answer = served.rest("GET", path, Value::Null).await;
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        answer.code();
    }
    for (path, body) in [
        ("/mkdir", json!({})),
        ("/mkdir", json!({"path": 5})),
        ("/mkdir", json!({"path": "/a", "more": 1})),
        ("/verify", json!({"level": "deeper"})),
        ("/verify", json!({"sample": -1})),
        ("/rebalance", json!({"target_variance": 1e9})),
        ("/trash/restore", json!({"path": "/a", "version": "x"})),
        ("/remotes", json!({"remotes": []})),
    ] {
        let answer = served.rest("POST", path, body.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_argument"), "{path} {body}");
    }
    let long = vec![b'a'; (1 << 20) + 1];
    let answer = send(served.api, "POST", "/api/v1/mkdir", &[("Content-Type", "application/json")], &long).await;
    assert_eq!(answer.status, 400);
    assert_eq!(get(served.api, "/api/v1/nothing", &[]).await.code(), "no_such_address");
    assert_eq!(get(served.serve, "/.rclonepool/nothing", &[]).await.code(), "no_such_address");
    assert_eq!(send(served.api, "PATCH", "/api/v1/status", &[], b"").await.status, 405);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_operation_is_there_and_the_docs_need_no_network() {
    let served = Served::new().await;
    let document = get(served.api, "/api/v1/openapi.json", &[]).await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut known = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            known.insert(format!("{} {path}", method.to_uppercase()));
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
            let real = path.replace("{path}", "nothing").replace("{id}", "0").replace("{name}", "none%3A");
            let answer = send(served.api, &method.to_uppercase(), &real, &[], b"").await;
            assert!(answer.status != 405 && answer.status < 500 || answer.status == 501, "{method} {path}: {answer:?}");
            if answer.status == 404 {
                assert_ne!(answer.code(), "no_such_address", "{method} {path}");
            }
            let told = operation["responses"].as_object().unwrap();
            assert!(told.contains_key(&answer.status.to_string()), "{method} {path} answers {}", answer.status);
        }
    }
    for feature in [
        "GET /api/v1/status",
        "GET /api/v1/files",
        "GET /api/v1/files/{path}",
        "POST /api/v1/files",
        "DELETE /api/v1/files/{path}",
        "GET /api/v1/remotes",
        "GET /api/v1/stats",
        "GET /api/v1/health",
        "POST /api/v1/verify",
        "POST /api/v1/repair",
        "POST /api/v1/rebalance",
        "POST /api/v1/remotes/{name}/drain",
        "GET /api/v1/trash",
        "GET /api/v1/balance-status",
        "GET /api/v1/search",
        "GET /api/v1/jobs",
    ] {
        assert!(known.contains(feature), "{feature}");
    }
    assert_eq!(get(served.api, "/api/v1/docs", &[]).await.headers["location"], "/api/v1/docs/");
    let page = get(served.api, "/api/v1/docs/", &[]).await;
    assert!(page.text().contains("swagger-ui-bundle.js") && !page.text().contains("https://"), "{}", page.text());
    for (part, least) in
        [("swagger-ui-bundle.js", 500_000), ("swagger-ui.css", 50_000), ("swagger-initializer.js", 100)]
    {
        let part = get(served.api, &format!("/api/v1/docs/{part}"), &[]).await;
        assert!(part.status == 200 && part.body.len() > least, "{}", part.body.len());
    }
    assert!(get(served.api, "/api/v1/docs/swagger-initializer.js", &[]).await.text().contains("../openapi.json"));
    let html = [("Accept", "text/html,*/*")];
    let page = get(served.serve, "/", &html).await;
    assert!(page.text().contains("WebDAV") && page.headers.contains_key("content-security-policy"));
    let there = rest(served.serve, "GET", "/status", &[], Value::Null).await;
    assert_eq!(there.status, 404, "on this port /api is a path of the pool");
    assert_eq!(get(served.serve, "/.rclonepool/api/v1/status", &[]).await.status, 200);
    served.stop().await;
}
