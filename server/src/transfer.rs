//! Bytes of files on their way through the server: counted, told, and not waited for without end.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_json::json;
use tokio::time::Sleep;

use crate::hub::Topic;
use crate::tenant::Tenant;

/// Progress is told at most so often.
const TOLD_EVERY: Duration = Duration::from_millis(200);
/// A client that sends nothing for so long is given up.
const IDLE_MAX: Duration = Duration::from_secs(120);

/// A transfer that is under way.
struct Transfer {
    /// Tells it from others of the same file.
    id: u64,
    tenant: Arc<Tenant>,
    topic: Topic,
    path: String,
    total: Option<u64>,
    bytes: u64,
    told: Instant,
    is_over: bool,
}

impl Transfer {
    fn new(tenant: Arc<Tenant>, topic: Topic, path: String, total: Option<u64>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let id = LAST.fetch_add(1, Relaxed);
        let transfer = Self { id, tenant, topic, path, total, bytes: 0, told: Instant::now(), is_over: false };
        transfer.tell("started", None);
        transfer
    }

    fn direction(&self) -> &'static str {
        if self.topic == Topic::UploadProgress { "upload" } else { "download" }
    }

    fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        self.tenant.counts.transferred(self.direction(), bytes);
        if self.told.elapsed() >= TOLD_EVERY {
            self.told = Instant::now();
            self.tell("running", None);
        }
    }

    fn tell(&self, state: &str, error: Option<&str>) {
        let data = json!({
            "id": self.id, "path": self.path, "state": state, "bytes": self.bytes, "bytes_total": self.total,
            "error": error,
        });
        self.tenant.hub.tell(self.topic, data);
    }

    fn over(&mut self, state: &str, error: Option<&str>) {
        if !std::mem::replace(&mut self.is_over, true) {
            self.tell(state, error);
        }
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.over("failed", Some("broken off"));
    }
}

/// Watches the body of an upload. The handle tells how it ended, once it is known.
pub fn upload(request: Request<Body>, tenant: &Arc<Tenant>, path: &str) -> (Request<Body>, Upload) {
    let total = length(request.headers());
    let transfer = Transfer::new(tenant.clone(), Topic::UploadProgress, path.to_owned(), total);
    let transfer = Arc::new(Mutex::new(transfer));
    let watched = transfer.clone();
    let request = request.map(|body| {
        let counted = Counted {
            body,
            count: Box::new(move |bytes| watched.lock().add(bytes)),
            idle: Some((IDLE_MAX, Box::pin(tokio::time::sleep(IDLE_MAX)))),
        };
        Body::new(counted)
    });
    (request, Upload(transfer))
}

/// An upload whose answer is not known yet.
pub struct Upload(Arc<Mutex<Transfer>>);

impl Upload {
    /// It was answered.
    pub fn answered(self, status: StatusCode) {
        let mut transfer = self.0.lock();
        if status.is_success() {
            transfer.over("done", None);
        } else {
            transfer.over("failed", status.canonical_reason());
        }
    }
}

/// Watches the body of an answer that may be a file.
pub fn download(method: &Method, response: Response, tenant: &Arc<Tenant>, path: &str) -> Response {
    let is_file = *method == Method::GET && matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT);
    if !is_file {
        return response;
    }
    let total = length(response.headers()).or_else(|| response.body().size_hint().exact());
    let mut transfer = Transfer::new(tenant.clone(), Topic::DownloadProgress, path.to_owned(), total);
    response.map(|body| {
        if total == Some(0) {
            transfer.over("done", None);
            return body;
        }
        let count = move |bytes| {
            transfer.add(bytes);
            if transfer.total.is_some_and(|total| transfer.bytes >= total) {
                transfer.over("done", None);
            }
        };
        Body::new(Counted { body, count: Box::new(count), idle: None })
    })
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A body whose bytes are counted, and that ends with an error when nothing comes for too long.
struct Counted {
    body: Body,
    count: Box<dyn FnMut(u64) + Send>,
    idle: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(frame) => {
                if let Some((limit, sleep)) = &mut this.idle {
                    sleep.as_mut().reset(tokio::time::Instant::now() + *limit);
                }
                if let Some(Ok(frame)) = &frame
                    && let Some(data) = frame.data_ref()
                {
                    (this.count)(data.len() as u64);
                }
                Poll::Ready(frame)
            }
            Poll::Pending => {
                let Some((limit, sleep)) = &mut this.idle else { return Poll::Pending };
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                let message = format!("nothing came for {} seconds", limit.as_secs());
                Poll::Ready(Some(Err(axum::Error::new(std::io::Error::other(message)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// Reads a small body to its end.
///
/// # Errors
/// When it is longer than `max` bytes, breaks off, or does not come in time.
pub async fn read_small(body: Body, max: usize, limit: Duration) -> Result<Bytes, &'static str> {
    let limited = http_body_util::Limited::new(body, max);
    match tokio::time::timeout(limit, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(_)) => Err("the body is too long, or broke off"),
        Err(_) => Err("the body did not come in time"),
    }
}
