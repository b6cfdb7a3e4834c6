//! Signing in from a browser, and who one is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rclonepool_core::config::AuthMethod;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::input::Input;
use super::pool::QuotaInfo;
use crate::app::App;
use crate::auth::{COOKIE_NAME, Denied, SESSION, TICKET, Who, cookie, is_token};
use crate::front::{Client, is_foreign};
use crate::guard::refusal;
use crate::problem::Problem;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The user's name, with `password`.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// A token instead.
    pub token: Option<String>,
}

/// Who one is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The user's name; null where there is no sign-in.
    pub user: Option<String>,
    /// Whether nothing may be changed.
    pub read_only: bool,
    /// How much may be stored.
    pub quota: Option<QuotaInfo>,
}

fn me_of(who: &Who) -> Me {
    let name = who.principal.name.as_deref().map(str::to_owned);
    Me { user: name, read_only: who.principal.read_only, quota: QuotaInfo::of(who) }
}

fn set_cookie(client: &Client, text: &str, seconds: u64) -> Option<HeaderValue> {
    let path = if client.base.is_empty() { "/" } else { &client.base };
    let secure = if client.https { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={text}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}").parse().ok()
}

/// Signs a browser in: by a password where `basic` is allowed, by a token where `api_key` or `bearer` is. The answer
/// sets a cookie.
#[utoipa::path(post, path = "/api/v1/session", tag = "session", request_body = SignIn, security(()),
    responses((status = 200, body = Me), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 415, body = Problem), (status = 429, body = Problem),
        (status = 503, body = Problem)))]
pub async fn sign_in(
    State(app): State<Arc<App>>,
    client: Client,
    headers: HeaderMap,
    Input(asked): Input<SignIn>,
) -> Result<Response, Response> {
    if is_foreign(&headers, &client, &app.config()) {
        let problem = Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "another site's page sent this");
        return Err(problem.into_response());
    }
    let directory = app.auth.directory();
    let allows = |method: AuthMethod| directory.methods.methods().contains(&method);
    let by_token = allows(AuthMethod::ApiKey) || allows(AuthMethod::Bearer);
    let found = match (&asked.user, &asked.password, &asked.token) {
        (Some(user), Some(password), None) if allows(AuthMethod::Basic) => {
            app.auth.by_password(&directory, user, password, client.address).await
        }
        (None, None, Some(token)) if by_token && is_token(token) => {
            app.auth.by_token(&directory, token, None, client.address, true)
        }
        (None, None, Some(_)) if by_token => app.auth.by_token(&directory, "", None, client.address, true),
        (Some(_), Some(_), None) | (None, None, Some(_)) => Err(Denied::Unknown),
        _ => return Err(super::input::invalid("give user and password, or token").into_response()),
    };
    let refused = |denied| {
        app.main().into_iter().for_each(|tenant| tenant.counts.refused());
        // The page asks for the password itself.
        let mut response = refusal(denied, &directory.methods, &headers);
        response.headers_mut().remove(header::WWW_AUTHENTICATE);
        response
    };
    let who = found.map_err(refused)?;
    let text = app.auth.sessions.give(who.holder()).map_err(|e| Problem::from(e).into_response())?;
    let mut response = Json(me_of(&who)).into_response();
    if let Some(cookie) = set_cookie(&client, &text, SESSION.as_secs()) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// Signs a browser out.
#[utoipa::path(delete, path = "/api/v1/session", tag = "session", security(()),
    responses((status = 204, description = "Signed out"), (status = 403, body = Problem)))]
pub async fn sign_out(State(app): State<Arc<App>>, client: Client, headers: HeaderMap) -> Result<Response, Problem> {
    if is_foreign(&headers, &client, &app.config()) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", "another site's page sent this"));
    }
    if let Some(text) = cookie(&headers) {
        app.auth.sessions.take(text);
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(cookie) = set_cookie(&client, "", 0) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Who one is.
#[utoipa::path(get, path = "/api/v1/me", tag = "session",
    responses((status = 200, body = Me), (status = 401, body = Problem)))]
pub async fn me(who: Who) -> Json<Me> {
    Json(me_of(&who))
}

/// A ticket for one WebSocket.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ticket {
    /// For the address: `/ws?ticket=…`. It opens one WebSocket.
    pub ticket: String,
    /// For how many seconds.
    pub expires_in: u64,
}

/// A ticket for one WebSocket, as pages cannot send headers with one.
#[utoipa::path(post, path = "/api/v1/ws-ticket", tag = "session",
    responses((status = 200, body = Ticket), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub async fn ticket(State(app): State<Arc<App>>, who: Who) -> Result<Response, Problem> {
    let ticket = app.auth.tickets.give(who.holder())?;
    let body = Json(Ticket { ticket, expires_in: TICKET.as_secs() });
    Ok(([(header::CACHE_CONTROL, "no-store")], body).into_response())
}
