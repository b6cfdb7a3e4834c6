//! Calls to a running `rclone rcd`.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::classify::Failure;
use super::connect::{Address, Connector};

/// rclone closes connections that were idle for 60 s; ours go first.
const IDLE: Duration = Duration::from_secs(45);

/// The longest answer to a call: a listing of several hundred thousand objects.
const ANSWER_BYTES: usize = 256 << 20;

const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

/// User and password of a daemon on a TCP port.
pub(super) type Credentials = (String, String);

type HttpClient = Client<Connector, Full<Bytes>>;

/// A client of one rclone. Dropping the future of a call closes its connection, and that cancels
/// the operation in rclone.
#[derive(Debug, Clone)]
pub(super) struct Rc {
    /// `None` once closed.
    client: Arc<Mutex<Option<HttpClient>>>,
    authorization: Option<HeaderValue>,
}

/// An object on its way to us.
pub(super) struct Download {
    /// How many bytes will come, where rclone tells.
    pub length: Option<u64>,
    /// The bytes.
    pub body: Incoming,
}

impl Rc {
    pub fn new(address: Address, credentials: Option<&Credentials>) -> Self {
        let client: HttpClient = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(Connector(address));
        let authorization = credentials.and_then(|(user, password)| {
            let text = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let mut value = HeaderValue::from_str(&format!("Basic {text}")).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        Self { client: Arc::new(Mutex::new(Some(client))), authorization }
    }

    /// Closes the connections nobody uses. rclone, asked to end, waits 5 s for one that was opened
    /// and never used, and there are some after every burst of calls. Further calls fail.
    pub fn close(&self) {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Makes a call such as `operations/stat` and reads its answer.
    pub async fn call<T: DeserializeOwned>(&self, method: &str, arguments: &Value) -> Result<T, Failure> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://rclone/{method}"))
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(arguments.to_string()));
        let response = self.send(request).await?;
        let bytes = read_whole(response).await?;
        serde_json::from_slice(&bytes).map_err(|e| Failure {
            status: Some(200),
            json: false,
            text: format!("{method}: an answer we do not understand: {e}"),
        })
    }

    /// Opens an object, or a range of it that is not empty.
    pub async fn open(&self, fs: &str, name: &str, range: Option<&Range<u64>>) -> Result<Download, Failure> {
        let (fs, name) = (utf8_percent_encode(fs, PATH), utf8_percent_encode(name, PATH));
        let mut request = Request::builder().uri(format!("http://rclone/%5B{fs}%5D/{name}"));
        if let Some(range) = range {
            request = request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        let response = self.send(request.body(Full::default())).await?;
        let headers = response.headers();
        let length = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
        if let Some(range) = range {
            // Trap: beyond the end there is no 416 but something shorter, or empty, or a 404 in prose.
            let want = format!("bytes {}-{}/", range.start, range.end - 1);
            let given = headers.get(CONTENT_RANGE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            let right = response.status() == StatusCode::PARTIAL_CONTENT && given.starts_with(&want);
            if !right || length != Some(range.end - range.start) {
                let text = format!("asked for {want}, got {given:?} of {length:?} bytes ({})", response.status());
                return Err(Failure { status: Some(404), json: false, text });
            }
        }
        Ok(Download { length, body: response.into_body() })
    }

    async fn send(
        &self,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
    ) -> Result<Response<Incoming>, Failure> {
        let lost = |text: String| Failure { status: None, json: false, text };
        let mut request = request.map_err(|e| lost(e.to_string()))?;
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, authorization.clone());
        }
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = client.ok_or_else(|| lost("rclone is being ended".into()))?;
        let response = client.request(request).await.map_err(|e| lost(with_causes(&e)))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let json = content_type.starts_with("application/json");
        let body = read_whole(response).await?;
        // Only `error`: `input` repeats what we sent, passwords included.
        let told = serde_json::from_slice::<Value>(&body).ok().filter(|_| json);
        let text = match told.as_ref().and_then(|v| v["error"].as_str()) {
            Some(error) => error.to_owned(),
            None => format!("{status}: {}", String::from_utf8_lossy(&body)),
        };
        Err(Failure { status: Some(status.as_u16()), json, text })
    }
}

async fn read_whole(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
    Ok(body.map_err(|e| Failure { status: None, json: false, text: with_causes(&*e) })?.to_bytes())
}

/// An error and what it says caused it: hyper's own words are only "client error".
pub(super) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes: Vec<String> = std::iter::successors(Some(error), |e| e.source()).map(ToString::to_string).collect();
    causes.join(": ")
}
