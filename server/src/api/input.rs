//! What requests say, and links in answers.

use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use rclonepool_core::{Error, ErrorKind, PoolPath};
use serde::de::DeserializeOwned;

use crate::front::Client;
use crate::problem::Problem;
use crate::routes::Mount;
use crate::transfer::read_small;

/// What a JSON body may be long.
const BODY_MAX: usize = 1 << 20;
/// and how long it may take.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A JSON body. An empty one is an empty object.
pub struct Input<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read_small(body, BODY_MAX, BODY_TIME).await.map_err(invalid)?;
        // A form of another site can be sent as plain text without asking first.
        if !bytes.is_empty() && !is_json(&parts.headers) {
            let message = "the body must be JSON, and say so (Content-Type: application/json)";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message));
        }
        let bytes = if bytes.is_empty() { &b"{}"[..] } else { &bytes };
        serde_json::from_slice(bytes).map(Self).map_err(|e| invalid(format!("the body cannot be read: {e}")))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// What an address asks after its `?`.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(query)| Self(query)).map_err(|e| invalid(e.body_text()))
    }
}

/// Makes links.
pub struct Links(String);

impl<S: Send + Sync> FromRequestParts<S> for Links {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let client = Client::from_request_parts(parts, state).await?;
        let mount = parts.extensions.get::<Mount>().map_or("", |mount| mount.0);
        Ok(Self(format!("{}{mount}/api/v1", client.base)))
    }
}

impl Links {
    /// To what lies at a path of the API.
    pub fn to(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// A request that cannot be understood.
pub fn invalid(message: impl Into<String>) -> Problem {
    Error::new(ErrorKind::InvalidArgument, message).into()
}

/// A path of the pool out of a body or a query.
pub fn pool_path(text: &str) -> Result<PoolPath, Problem> {
    Ok(PoolPath::new(text)?)
}
