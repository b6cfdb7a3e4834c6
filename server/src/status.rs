//! Errors as HTTP answers: the one place that knows which status each kind has.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use rclonepool_core::{Error, ErrorKind};

/// After how many seconds a client may ask again, where asking again may help.
pub const RETRY_AFTER_S: u64 = 5;

/// The status of a kind of error.
pub fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound | ErrorKind::DirectoryNotFound => StatusCode::NOT_FOUND,
        ErrorKind::AlreadyExists | ErrorKind::SourceChanged => StatusCode::CONFLICT,
        ErrorKind::InvalidArgument => StatusCode::BAD_REQUEST,
        ErrorKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::Unavailable
        | ErrorKind::RateLimited
        | ErrorKind::Timeout
        | ErrorKind::Busy
        | ErrorKind::Cancelled
        // A commit that this version cannot read may hold what was asked for.
        | ErrorKind::FormatVersion => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Full => StatusCode::INSUFFICIENT_STORAGE,
        // A remote refuses the server, not the server the client.
        ErrorKind::Auth => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Why a request is refused: an error, and the status where the request asks for another than the error's kind has.
#[derive(Debug)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// What is wrong.
    pub error: Box<Error>,
}

/// The result of what answers requests.
pub type Answer<T, E = Refusal> = std::result::Result<T, E>;

impl Refusal {
    /// A refusal of the request itself.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let kind = match status {
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::CONFLICT => ErrorKind::AlreadyExists,
            StatusCode::INTERNAL_SERVER_ERROR => ErrorKind::Internal,
            StatusCode::SERVICE_UNAVAILABLE => ErrorKind::Unavailable,
            StatusCode::INSUFFICIENT_STORAGE => ErrorKind::Full,
            _ => ErrorKind::InvalidArgument,
        };
        Self { status, error: Box::new(Error::new(kind, message)) }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// After how many seconds the client may ask again; `None` where that helps nothing.
    pub fn retry_after(&self) -> Option<u64> {
        (self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(RETRY_AFTER_S)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: status(error.kind()), error: Box::new(error) }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, format!("{}\n", self.error)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_help_later_says_when() {
        for kind in [ErrorKind::Unavailable, ErrorKind::Busy, ErrorKind::Timeout, ErrorKind::RateLimited] {
            assert!(kind.is_retryable());
            let response = Refusal::from(Error::new(kind, "x")).into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "5");
        }
        let full = Refusal::from(Error::new(ErrorKind::Full, "x")).into_response();
        assert_eq!(full.status(), StatusCode::INSUFFICIENT_STORAGE);
        assert!(!full.headers().contains_key(RETRY_AFTER));
    }
}
