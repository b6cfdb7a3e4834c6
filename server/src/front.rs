//! What every request passes first, whichever face it is for: where it comes from, below which path, and whether
//! another site's page made a browser send it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use rclonepool_core::Config;

use crate::app::App;
use crate::problem::Problem;

/// Of one listener.
#[derive(Clone)]
pub struct Front {
    /// All that is served.
    pub app: Arc<App>,
    /// Whether it speaks TLS itself.
    pub https: bool,
    /// Whether it can be reached from this machine only.
    pub is_local: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's address: a trusted proxy's word for it counts.
    pub address: IpAddr,
    /// Whether the client speaks HTTPS, to us or to the proxy.
    pub https: bool,
    /// The host, and port, the client asked for.
    pub host: Option<String>,
    /// What links begin with: the path a proxy offers us below; empty or without `/` at its end.
    pub base: Arc<str>,
}

/// Passes a request on with its [`Client`].
pub async fn front(State(front): State<Front>, mut request: Request, next: Next) -> Response {
    let config = front.app.config();
    let client = client(&front, &config, &request);
    if let Some(refused) = check_host(&front, &client, &request) {
        return refused.into_response();
    }
    strip(&config.server_base_path, &mut request);
    if is_smuggled(request.headers()) {
        return Problem::new(StatusCode::BAD_REQUEST, "bad_request", "Content-Length and Transfer-Encoding together")
            .into_response();
    }
    let origin = request.headers().get(header::ORIGIN).filter(|origin| is_listed(&config, origin)).cloned();
    let is_preflight = *request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && origin.is_some();
    request.extensions_mut().insert(client);
    let mut response = if is_preflight { StatusCode::NO_CONTENT.into_response() } else { next.run(request).await };
    let headers = response.headers_mut();
    let always = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
    ];
    for (name, value) in always {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if let Some(origin) = origin {
        allow(headers, origin, is_preflight);
    }
    response
}

fn client(front: &Front, config: &Config, request: &Request) -> Client {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([127, 0, 0, 1]), |peer| peer.0.ip().to_canonical());
    let headers = request.headers();
    let trusts = |address: &IpAddr| config.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == *address);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
    let host = host.or_else(|| request.uri().authority().map(ToString::to_string));
    let base: Arc<str> = config.server_base_path.as_str().into();
    if !trusts(&peer) {
        return Client { address: peer, https: front.https, host, base };
    }
    // The nearest one that is no proxy of ours; what lies beyond it anybody may have written.
    let hops = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<IpAddr> = hops.flat_map(|value| value.split(',')).filter_map(|hop| hop.trim().parse().ok()).collect();
    let hops: Vec<IpAddr> = hops.iter().map(IpAddr::to_canonical).collect();
    let address = hops.iter().rev().find(|hop| !trusts(hop)).or(hops.first()).copied().unwrap_or(peer);
    let word = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    Client {
        address,
        https: word("x-forwarded-proto").map_or(front.https, |proto| proto.eq_ignore_ascii_case("https")),
        host: word("x-forwarded-host").map(str::to_owned).or(host),
        base,
    }
}

/// Without sign-in, a page whose name was made to lead to this machine could ask as if it were ours.
fn check_host(front: &Front, client: &Client, request: &Request) -> Option<Problem> {
    if !front.is_local || !front.app.auth.directory().methods.is_none() {
        return None;
    }
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0.ip().to_canonical());
    let config = front.app.config();
    if peer.is_some_and(|peer| config.trusted_proxies.iter().any(|proxy| proxy.to_canonical() == peer)) {
        return None;
    }
    let authority = client.host.as_deref()?.parse::<Authority>().ok();
    let host = authority.as_ref().map(|authority| authority.host().trim_matches(['[', ']']));
    let is_ours = host.is_some_and(|host| {
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok()
            || [&config.webdav_host, &config.api_server_host].iter().any(|ours| ours.eq_ignore_ascii_case(host))
    });
    (!is_ours).then(|| {
        Problem::new(StatusCode::FORBIDDEN, "host_not_allowed", "this host name is not one of the server's")
            .hint("turn sign-in on, or ask by localhost or an address")
    })
}

/// A request that two servers could take for two different ones.
fn is_smuggled(headers: &HeaderMap) -> bool {
    headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH)
}

/// Takes the path a proxy offers us below off, where the proxy has not.
fn strip(base: &str, request: &mut Request) {
    let Some(rest) = request.uri().path().strip_prefix(base).filter(|_| !base.is_empty()) else { return };
    if !rest.is_empty() && !rest.starts_with('/') {
        return;
    }
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    let rest = if rest.is_empty() { "/" } else { rest };
    let Ok(path) = format!("{rest}{query}").parse::<PathAndQuery>() else { return };
    let mut parts = request.uri().clone().into_parts();
    parts.path_and_query = Some(path);
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

fn is_listed(config: &Config, origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| config.cors_origins.iter().any(|listed| listed == origin))
}

fn allow(headers: &mut HeaderMap, origin: HeaderValue, is_preflight: bool) {
    let own = |name: &'static str| HeaderName::from_static(name);
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    let exposed = "Location, ETag, Content-Range, Accept-Ranges, Retry-After";
    headers.insert(own("access-control-expose-headers"), HeaderValue::from_static(exposed));
    if is_preflight {
        let allowed = "Authorization, Content-Type, If-Match, If-None-Match, Range, X-API-Key";
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD, POST, PUT, DELETE"));
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}

/// Whether a page of another origin made the browser send this. Clients that are no browsers send neither header.
pub fn is_foreign(headers: &HeaderMap, client: &Client, config: &Config) -> bool {
    let origin = headers.get(header::ORIGIN);
    if origin.is_some_and(|origin| is_listed(config, origin)) {
        return false;
    }
    if let Some(site) = headers.get("sec-fetch-site") {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    let Some(origin) = origin else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    match (authority, client.host.as_deref()) {
        (Some(authority), Some(host)) => !authority.eq_ignore_ascii_case(host),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn requests_of_other_sites_are_known() {
        let host = Some("pool.example:8080".to_owned());
        let client = Client { address: IpAddr::from([127, 0, 0, 1]), https: false, host, base: "".into() };
        let config = Config { cors_origins: vec!["https://app.example".into()], ..Config::default() };
        for (sent, foreign) in [
            (vec![], false),
            (vec![("origin", "http://pool.example:8080")], false),
            (vec![("origin", "http://pool.example")], true),
            (vec![("origin", "http://evil.example")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "https://app.example")], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "same-site")], true),
            (vec![("sec-fetch-site", "cross-site"), ("origin", "http://pool.example:8080")], true),
        ] {
            assert_eq!(is_foreign(&headers(&sent), &client, &config), foreign, "{sent:?}");
        }
    }

    #[test]
    fn the_base_path_is_taken_off_whole() {
        for (before, after) in [
            ("/pool/a?b=1", "/a?b=1"),
            ("/pool", "/"),
            ("/pools/a", "/pools/a"),
            ("/a/pool", "/a/pool"),
            ("/pool/a%2Fb", "/a%2Fb"),
        ] {
            let mut request = Request::builder().uri(before).body(Body::empty()).unwrap();
            strip("/pool", &mut request);
            assert_eq!(request.uri().to_string(), after);
            strip("", &mut request);
            assert_eq!(request.uri().to_string(), after);
        }
    }
}
