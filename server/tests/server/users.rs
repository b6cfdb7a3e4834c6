//! Users are kept apart, and within their quotas.

use serde_json::{Value, json};

use crate::client::{Served, config, get, init, own_pool, password_of, rest, send, users};

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_finds_nothing_of_another() {
    let root = tempfile::tempdir().unwrap();
    let mut config = config(root.path());
    init(&config).await;
    let tokens = users(&mut config);
    let bobs = own_pool(root.path(), "bob").await;
    config.users.get_mut("bob").unwrap().config = Some(bobs);
    let served = Served::over(root, config).await;
    let (ann, bob) = (password_of("ann"), password_of("bob"));
    let (ann, bob) = ([("Authorization", ann.as_str())], [("Authorization", bob.as_str())]);
    let secret = "/api/v1/files/secret%2Fplan/content";
    let put = send(served.api, "PUT", secret, &ann, &vec![1; 100_000]).await;
    let tag = put.headers["etag"].clone();
    let job = rest(served.api, "POST", "/verify?wait=30", &ann, json!({})).await.json();
    let id = job["id"].as_str().unwrap().to_owned();

    // Exactly what is said of what is nowhere.
    for path in [
        "/files/secret/plan",
        "/files/secret%2Fplan/content",
        "/files/secret%2Fplan/shards",
        "/files/secret%2Fplan/health",
        "/files?dir=/secret",
    ] {
        let theirs = rest(served.api, "GET", path, &bob, Value::Null).await;
        let nowhere = rest(served.api, "GET", &path.replace("secret", "nosuch"), &bob, Value::Null).await;
        assert_eq!((theirs.status, nowhere.status), (404, 404), "{path}");
        assert_eq!(theirs.text().replace("secret", "nosuch"), nowhere.text(), "{path}");
    }
    let headers = [bob[0], ("If-None-Match", tag.as_str())];
    assert_eq!(get(served.api, secret, &headers).await.status, 404, "by its entity tag");
    for (method, path) in [("GET", format!("/jobs/{id}")), ("DELETE", format!("/jobs/{id}"))] {
        assert_eq!(rest(served.api, method, &path, &bob, Value::Null).await.status, 404, "{method}");
    }
    assert_eq!(rest(served.api, "GET", "/jobs", &bob, Value::Null).await.json()["jobs"], json!([]));
    for path in ["/search?q=plan", "/files?recursive=true"] {
        assert_eq!(rest(served.api, "GET", path, &bob, Value::Null).await.json()["entries"], json!([]), "{path}");
    }
    for (method, path, body) in [
        ("DELETE", "/files/secret/plan", Value::Null),
        ("POST", "/move", json!({"from": "/secret/plan", "to": "/mine"})),
        ("POST", "/copy", json!({"from": "/secret/plan", "to": "/mine"})),
    ] {
        assert_eq!(rest(served.api, method, path, &bob, body).await.status, 404, "{path}");
    }
    let of_bob = rest(served.api, "GET", "/status", &bob, Value::Null).await.json();
    let of_ann = rest(served.api, "GET", "/status", &ann, Value::Null).await.json();
    assert_eq!((of_bob["files"].clone(), of_ann["files"].clone()), (json!(0), json!(1)));
    assert_ne!(of_bob["pool"], of_ann["pool"]);
    let metrics = get(served.metrics, "/metrics", &bob).await.text();
    assert!(metrics.contains("rclonepool_files 0.0") && metrics.contains("/bob/disk1"), "{metrics}");
    assert!(!metrics.contains(&format!("remote=\"{}", served.root.path().join("disk").display())), "{metrics}");
    // A path of one's own is one's own.
    assert_eq!(send(served.api, "PUT", secret, &bob, b"bob's").await.status, 201);
    assert_eq!(get(served.api, secret, &ann).await.body.len(), 100_000);
    let by_token = [("X-API-Key", tokens.1.as_str())];
    assert_eq!(get(served.serve, "/secret/plan", &by_token).await.body, b"bob's");
    assert_eq!(get(served.api, "/api/v1/me", &by_token).await.json()["user"], "bob");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_hold_for_many_at_once_and_count_the_trash() {
    let served = Served::with(|config, _| {
        users(config);
        let ann = config.users.get_mut("ann").unwrap();
        ann.quota = Some("1000000".parse().unwrap());
        ann.quota_files = Some(30);
    })
    .await;
    let ann = password_of("ann");
    let ann = [("Authorization", ann.as_str())];
    let puts = (0..16).map(|i| {
        let (at, ann) = (served.api, ann);
        async move {
            let bytes = vec![u8::try_from(i).unwrap(); 200_000];
            send(at, "PUT", &format!("/api/v1/files/f{i}/content"), &ann, &bytes).await.status
        }
    });
    let statuses = futures_join(puts).await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 5, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 507).count(), 11, "{statuses:?}");
    let me = rest(served.api, "GET", "/me", &ann, Value::Null).await.json();
    assert_eq!(me["quota"], json!({"bytes_used": 1_000_000, "bytes_max": 1_000_000, "files_used": 5, "files_max": 30}));
    let listed = rest(served.api, "GET", "/files", &ann, Value::Null).await.json();
    let first = listed["entries"][0]["path"].as_str().unwrap().to_owned();
    assert_eq!(rest(served.api, "DELETE", &format!("/files{first}"), &ann, Value::Null).await.status, 200);
    let put =
        async |size: usize| send(served.api, "PUT", "/api/v1/files/new/content", &ann, &vec![9; size]).await.status;
    assert_eq!(put(200_000).await, 507, "the trash counts");
    let copy = json!({"from": listed["entries"][1]["path"], "to": "/copy"});
    assert_eq!(rest(served.api, "POST", "/copy", &ann, copy).await.status, 507);
    assert_eq!(rest(served.api, "DELETE", "/trash", &ann, Value::Null).await.status, 200);
    assert_eq!(put(200_000).await, 201);
    // Bob has no quota, and the same pool.
    let bob = password_of("bob");
    assert_eq!(send(served.api, "PUT", "/api/v1/files/b/content", &[("Authorization", &bob)], b"b").await.status, 201);
    served.stop().await;
}

async fn futures_join<T>(all: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut set = Vec::new();
    for one in all {
        set.push(Box::pin(one));
    }
    // One after the other would prove nothing.
    let mut done: Vec<Option<T>> = set.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (at, one) in set.iter_mut().enumerate() {
            if done[at].is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                done[at] = Some(value);
            }
        }
        if done.iter().all(Option::is_some) {
            return std::task::Poll::Ready(done.iter_mut().filter_map(Option::take).collect());
        }
        std::task::Poll::Pending
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_read_changes_nothing() {
    let mut token = String::new();
    let served = Served::with(|config, _| {
        users(config);
        config.users.get_mut("bob").unwrap().read_only = true;
        let (text, kept) = rclonepool_server::new_token("r", 0, None, true).unwrap();
        let (_, ended) = rclonepool_server::new_token("old", 0, Some(1), false).unwrap();
        config.users.get_mut("ann").unwrap().tokens.extend([kept, ended]);
        token = text;
    })
    .await;
    let bob = password_of("bob");
    for header in [("Authorization", bob.as_str()), ("X-API-Key", token.as_str())] {
        assert_eq!(get(served.api, "/api/v1/status", &[header]).await.status, 200);
        for (method, path, body) in [
            ("POST", "/mkdir", json!({"path": "/a"})),
            ("DELETE", "/files/a", Value::Null),
            ("PUT", "/files/a/content", Value::Null),
            ("POST", "/gc", json!({})),
            ("DELETE", "/trash", Value::Null),
            ("POST", "/rebalance", json!({"dry_run": true})),
        ] {
            let answer = rest(served.api, method, path, &[header], body).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "read_only"), "{method} {path}");
        }
        assert_eq!(rest(served.api, "POST", "/verify?wait=30", &[header], json!({})).await.status, 200);
        for method in ["PUT", "DELETE", "MKCOL", "MOVE", "COPY", "LOCK", "PROPPATCH"] {
            assert_eq!(send(served.serve, method, "/a", &[header], b"").await.status, 403, "{method}");
        }
    }
    served.stop().await;
}
