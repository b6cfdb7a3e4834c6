//! Who may, and who may not.

use serde_json::{Value, json};

use crate::client::{PASSWORD, Served, basic, get, password_of, raw, rest, send, users};

const FACES: [(&str, &str); 3] = [("serve", "/file"), ("api", "/api/v1/status"), ("metrics", "/metrics")];

#[tokio::test(flavor = "multi_thread")]
async fn every_method_opens_every_face_and_nothing_else_does() {
    let mut tokens = None;
    let served = Served::with(|config, _| tokens = Some(users(config))).await;
    let (token, _) = tokens.unwrap();
    let right = password_of("ann");
    let put =
        send(served.serve, "PUT", "/.rclonepool/api/v1/files/file/content", &[("Authorization", &right)], b"x").await;
    assert_eq!(put.status, 201, "{put:?}");
    let bearer = format!("Bearer {token}");
    let good: [(&str, &str); 4] = [
        ("Authorization", &right),
        ("Authorization", &bearer),
        ("X-API-Key", &token),
        ("Authorization", &basic("ann", &token)),
    ];
    let mut wrong = token.clone();
    wrong.replace_range(10..12, if &token[10..12] == "aa" { "bb" } else { "aa" });
    let bad: Vec<(&str, String)> = vec![
        ("X-Nothing", "nothing".into()),
        ("Authorization", basic("ann", "wrong")),
        ("Authorization", basic("nobody", PASSWORD)),
        ("Authorization", "Basic %%%".into()),
        ("Authorization", "Negotiate abc".into()),
        ("Authorization", format!("Bearer {wrong}")),
    ];
    for (face, path) in FACES {
        let at = match face {
            "serve" => served.serve,
            "api" => served.api,
            _ => served.metrics,
        };
        for header in good {
            assert_eq!(get(at, path, &[header]).await.status, 200, "{face} {header:?}");
        }
        if face == "serve" {
            // The others would be slowed: five failures are free.
            for (name, value) in &bad[..1] {
                let answer = get(at, path, &[(name, value)]).await;
                assert_eq!(answer.status, 401, "{face} {name}: {value}");
                assert!(answer.headers.contains_key("www-authenticate"));
            }
        }
        assert_eq!(get(at, path, &[]).await.status, 401, "{face}");
    }
    for (name, value) in &bad[1..] {
        let answer = get(served.api, "/api/v1/status", &[(name, value)]).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "unauthorized"), "{value}");
    }
    for (method, path) in [("PUT", "/f"), ("DELETE", "/file"), ("PROPFIND", "/"), ("MOVE", "/file"), ("LOCK", "/file")]
    {
        assert_eq!(send(served.serve, method, path, &[], b"").await.status, 401, "{method}");
    }
    for open in ["/healthz", "/readyz", "/api/v1/openapi.json", "/api/v1/docs/"] {
        assert_eq!(get(served.api, open, &[]).await.status, 200, "{open}");
    }
    assert_eq!(get(served.api, "/ws", &[]).await.status, 401);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_that_is_not_allowed_opens_nothing() {
    let mut tokens = None;
    let served = Served::with(|config, _| {
        tokens = Some(users(config));
        config.webdav_auth_method = serde_json::from_value(json!("api_key")).unwrap();
    })
    .await;
    let (token, _) = tokens.unwrap();
    let status = async |header: (&str, &str)| get(served.api, "/api/v1/status", &[header]).await.status;
    assert_eq!(status(("X-API-Key", &token)).await, 200);
    assert_eq!(status(("Authorization", &format!("Bearer {token}"))).await, 401);
    assert_eq!(status(("Authorization", &password_of("ann"))).await, 401);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_and_does_not_lock_out_who_is_known() {
    let served = Served::with(|config, _| drop(users(config))).await;
    let right = password_of("ann");
    assert_eq!(get(served.api, "/api/v1/me", &[("Authorization", &right)]).await.status, 200);
    let mut slowed = 0;
    for i in 0..12 {
        let guess = basic("ann", &format!("guess {i}"));
        let answer = get(served.api, "/api/v1/me", &[("Authorization", &guess)]).await;
        if answer.status == 429 {
            slowed += 1;
            assert!(answer.headers["retry-after"].parse::<u64>().unwrap() >= 1);
            assert_eq!(answer.code(), "too_many_attempts");
        } else {
            assert_eq!(answer.status, 401);
        }
    }
    assert!(slowed >= 6, "{slowed}");
    assert_eq!(get(served.api, "/api/v1/me", &[("Authorization", &right)]).await.status, 200, "who is known goes on");
    let metrics = get(served.metrics, "/metrics", &[("Authorization", &right)]).await.text();
    assert!(metrics.contains("rclonepool_sign_in_failures_total 12"), "{metrics}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_sign_in_by_cookie_and_other_sites_cannot_use_it() {
    let served = Served::with(|config, _| {
        users(config);
        config.cors_origins = vec!["https://app.example".into()];
    })
    .await;
    let body = json!({"user": "ann", "password": format!("{PASSWORD} ann")});
    let signed = rest(served.api, "POST", "/session", &[], body.clone()).await;
    assert_eq!(signed.status, 200, "{signed:?}");
    let cookie = signed.headers["set-cookie"].clone();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && cookie.contains("Path=/"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let with = |more: &[(&'static str, &'static str)]| {
        let mut headers = vec![("Cookie", cookie.clone())];
        headers.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        headers
    };
    let status = async |headers: Vec<(&str, String)>, method: &str, path: &str, body: Value| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        rest(served.api, method, path, &headers, body).await
    };
    assert_eq!(status(with(&[]), "GET", "/me", Value::Null).await.json()["user"], "ann");
    let mkdir = json!({"path": "/d"});
    let own = with(&[("Sec-Fetch-Site", "same-origin")]);
    assert_eq!(status(own, "POST", "/mkdir", mkdir.clone()).await.status, 200);
    for foreign in [("Sec-Fetch-Site", "cross-site"), ("Origin", "https://evil.example"), ("Origin", "null")] {
        let answer = status(with(&[foreign]), "POST", "/mkdir", mkdir.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "foreign_origin"), "{foreign:?}");
    }
    let allowed = status(with(&[("Origin", "https://app.example")]), "POST", "/mkdir", mkdir.clone()).await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.headers["access-control-allow-origin"], "https://app.example");
    let preflight = [("Origin", "https://app.example"), ("Access-Control-Request-Method", "PUT")];
    assert_eq!(send(served.api, "OPTIONS", "/api/v1/files/a/content", &preflight, b"").await.status, 204);
    // A form can be sent as plain text by any page.
    let form = send(served.api, "POST", "/api/v1/mkdir", &[("Cookie", &cookie)], br#"{"path": "/d"}"#).await;
    assert_eq!(form.status, 415);
    assert_eq!(status(with(&[]), "DELETE", "/session", Value::Null).await.status, 204);
    assert_eq!(status(with(&[]), "GET", "/me", Value::Null).await.status, 401, "signed out");
    let wrong = rest(served.api, "POST", "/session", &[], json!({"user": "ann", "password": "x"})).await;
    assert!(wrong.status == 401 && !wrong.headers.contains_key("www-authenticate"), "the page asks itself");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_sign_in_a_foreign_name_of_this_machine_is_refused() {
    let served = Served::new().await;
    let by = async |host: &str| get(served.api, "/api/v1/status", &[("Host", host)]).await.status;
    assert_eq!(by("localhost:8081").await, 200);
    assert_eq!(by("127.0.0.1").await, 200);
    assert_eq!(by("[::1]:8081").await, 200);
    assert_eq!(by("evil.example").await, 403);
    assert_eq!(by("127.0.0.1.evil.example").await, 403);
    let forwarded = [("Host", "evil.example"), ("X-Forwarded-Host", "localhost")];
    assert_eq!(get(served.api, "/api/v1/status", &forwarded).await.status, 403, "nobody trusts this client");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_two_servers_read_differently_are_refused() {
    let served = Served::new().await;
    let at = served.api;
    for request in [
        format!(
            "POST /api/v1/mkdir HTTP/1.1\r\nHost: {at}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\n\r\n"
        ),
        format!(
            "POST /api/v1/mkdir HTTP/1.1\r\nHost: {at}\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabcdef"
        ),
        format!(
            "POST /api/v1/mkdir HTTP/1.1\r\nHost: {at}\r\nTransfer-Encoding: chunked, identity\r\nConnection: close\r\n\r\n0\r\n\r\n"
        ),
        format!("GET /api/v1/status HTTP/1.1\r\nHost: {at}\r\nX: a\r\n : b\r\nConnection: close\r\n\r\n"),
        format!("GET /api/v1/status HTTP/1.1\r\nHost: {at}\r\n{}\r\n\r\n", "X: a\r\n".repeat(200)),
    ] {
        let answer = raw(at, request.as_bytes()).await;
        assert!((400..500).contains(&answer.status), "{request:?}: {answer:?}");
    }
    let long = format!("GET /api/v1/status HTTP/1.1\r\nHost: {at}\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    assert!((400..500).contains(&raw(at, long.as_bytes()).await.status));
    assert_eq!(get(at, "/healthz", &[]).await.status, 200);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_its_word_counts_and_nobody_elses() {
    let trusted = Served::with(|config, _| {
        users(config);
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
        config.server_base_path = "/pool".into();
    })
    .await;
    let token = ("Authorization", password_of("ann"));
    let header = (token.0, token.1.as_str());
    for path in ["/pool/api/v1/me", "/api/v1/me"] {
        assert_eq!(get(trusted.api, path, &[header]).await.status, 200, "{path}");
    }
    let job = rest(trusted.api, "POST", "/verify", &[header], json!({})).await;
    assert!(job.headers["location"].starts_with("/pool/api/v1/jobs/"), "{job:?}");
    let served = rest(trusted.serve, "GET", "/openapi.json", &[], Value::Null).await;
    assert_eq!(served.status, 401, "that is the pool's");
    let document = get(trusted.serve, "/pool/.rclonepool/api/v1/openapi.json", &[]).await.json();
    assert_eq!(document["servers"][0]["url"], "/pool/.rclonepool");
    // Guesses from one address do not slow another, behind the same proxy.
    let guess = basic("zoe", "x");
    for _ in 0..8 {
        get(trusted.api, "/api/v1/me", &[("Authorization", &guess), ("X-Forwarded-For", "192.0.2.1")]).await;
    }
    let from = async |name: &str, address: &str| {
        let guess = basic(name, "x");
        let headers = [("Authorization", guess.as_str()), ("X-Forwarded-For", address)];
        get(trusted.api, "/api/v1/me", &headers).await.status
    };
    assert_eq!(from("kim", "192.0.2.1").await, 429);
    assert_eq!(from("kim", "192.0.2.2").await, 401);
    assert_eq!(from("kim", "192.0.2.9, 192.0.2.1").await, 429, "what the client wrote itself does not count");
    let secure = [("X-Forwarded-Proto", "https")];
    let body = json!({"user": "ann", "password": format!("{PASSWORD} ann")});
    let signed = rest(trusted.api, "POST", "/session", &secure, body).await;
    let cookie = &signed.headers["set-cookie"];
    assert!(cookie.contains("Secure") && cookie.contains("Path=/pool"), "{cookie}");
    trusted.stop().await;
}
