//! Errors as RFC 9457 has them.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rclonepool_core::config::redact_remote;
use rclonepool_core::{Error, ErrorKind};
use serde::Serialize;

/// What went wrong, as `application/problem+json`.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// `about:blank`: the status says what kind it is, and `code` says it exactly.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Names the kind of failure; stays the same from version to version.
    pub code: String,
    /// What failed and why.
    pub detail: String,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The remote it happened on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// The path it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// After how many seconds to try again.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of the request itself.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            hint: None,
            remote: None,
            path: None,
            retry_after: None,
        }
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says when to try again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

/// The name of a kind of error: `not_found`, `unavailable`, …
pub fn code_of(kind: ErrorKind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let status = crate::status::status(error.kind());
        let problem = Self {
            hint: error.next_step().map(str::to_owned),
            remote: error.remote().map(redact_remote),
            path: error.path().map(str::to_owned),
            ..Self::new(status, &code_of(error.kind()), error.message())
        };
        if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after(10) } else { problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_problems_without_secrets() {
        let error = Error::new(ErrorKind::Unavailable, "timed out").on_remote(":sftp,pass=geheim:").hint("wait");
        let problem = Problem::from(error);
        assert_eq!((problem.status, problem.code.as_str()), (503, "unavailable"));
        let json = serde_json::to_string(&problem).unwrap();
        assert!(!json.contains("geheim") && json.contains("\"type\":\"about:blank\""), "{json}");
        let response = problem.into_response();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert_eq!(response.headers()["retry-after"], "10");
    }
}
