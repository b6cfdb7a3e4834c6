//! The WebSocket: topics that clients subscribe to.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, extract::FromRequestParts};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::app::App;
use crate::auth::Who;
use crate::front::{Client, is_foreign};
use crate::guard::refusal;
use crate::hub::{Topic, envelope};
use crate::problem::Problem;
use crate::tenant::Tenant;

/// A client that does not take a message for so long is given up.
const SEND_MAX: Duration = Duration::from_secs(10);
/// So often it is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// What a client may send at once, in bytes.
const MESSAGE_MAX: usize = 4096;
/// What is kept ready for that, of each client: most never say more than what they subscribe to.
const READ_BYTES: usize = 1024;

/// The query of the address.
#[derive(Debug, Deserialize)]
pub struct Ticket {
    ticket: Option<String>,
}

/// What clients ask for.
#[derive(Debug, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
enum Ask {
    Subscribe { topic: String },
    Unsubscribe { topic: String },
    Ping,
}

/// Opens a WebSocket for whoever signs in, by header, cookie or ticket.
pub async fn open(State(app): State<Arc<App>>, mut request: Request) -> Response {
    let directory = app.auth.directory();
    let Ok(client) = request.extract_parts::<Client>().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let ticket = request.extract_parts::<Query<Ticket>>().await.ok().and_then(|Query(query)| query.ticket);
    let who = match ticket {
        Some(ticket) => match app.auth.tickets.take(&ticket) {
            Some(holder) => app.auth.by_holder(&directory, &holder),
            None => Err(crate::auth::Denied::Unknown),
        },
        None => app.auth.sign_in(request.headers(), client.address).await.and_then(|who| {
            // Any page may open a WebSocket to us, and the browser sends the cookie along.
            let is_foreign = who.is_ambient && is_foreign(request.headers(), &client, &app.config());
            if is_foreign { Err(crate::auth::Denied::Unknown) } else { Ok(who) }
        }),
    };
    let who = match who {
        Ok(who) => who,
        Err(denied) => return refusal(denied, &directory.methods, request.headers()),
    };
    let (mut parts, _) = request.into_parts();
    match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
        Ok(upgrade) => {
            let upgrade = upgrade.max_message_size(MESSAGE_MAX).max_frame_size(MESSAGE_MAX).write_buffer_size(0);
            let upgrade = upgrade.read_buffer_size(READ_BYTES);
            upgrade.max_write_buffer_size(1 << 20).on_upgrade(move |socket| serve(socket, app, who))
        }
        Err(_) => Problem::new(StatusCode::UPGRADE_REQUIRED, "no_websocket", "this is a WebSocket").into_response(),
    }
}

struct Listening(Arc<Tenant>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.counts.listening(-1);
    }
}

async fn serve(mut socket: WebSocket, app: Arc<App>, who: Who) {
    let tenant = who.tenant.clone();
    tenant.counts.listening(1);
    let _listening = Listening(tenant.clone());
    let mut events = tenant.hub.listen();
    let mut topics = BTreeSet::new();
    let holder = who.holder();
    // What is kept of who asks must not keep the pool open.
    drop(who);
    let mut ping = tokio::time::interval(PING_EVERY);
    let mut is_there = true;
    loop {
        tokio::select! {
            () = app.closing.cancelled() => {
                let frame = CloseFrame { code: close_code::AWAY, reason: "the server stops".into() };
                let _ = send(&mut socket, Frame::Close(Some(frame))).await;
                return;
            }
            event = events.recv() => {
                let frame = match event {
                    Ok(event) if topics.contains(event.topic.as_str()) => Frame::text(event.text.clone()),
                    Ok(_) => continue,
                    Err(RecvError::Lagged(lost)) => text(envelope("lost", None, json!({ "events": lost }))),
                    Err(RecvError::Closed) => return,
                };
                if send(&mut socket, frame).await.is_err() {
                    return;
                }
            }
            frame = socket.recv() => {
                is_there = true;
                let answers = match frame {
                    Some(Ok(Frame::Text(asked))) => answer(&asked, &mut topics, &tenant),
                    Some(Ok(Frame::Binary(_))) => vec![error("messages are JSON text")],
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => continue,
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => return,
                };
                for answer in answers {
                    if send(&mut socket, answer).await.is_err() {
                        return;
                    }
                }
            }
            _ = ping.tick() => {
                // What they signed in with may have been taken from them.
                let holds = app.auth.by_holder(&app.auth.directory(), &holder).is_ok();
                if !holds {
                    let frame = CloseFrame { code: close_code::POLICY, reason: "signed out".into() };
                    let _ = send(&mut socket, Frame::Close(Some(frame))).await;
                    return;
                }
                if !std::mem::replace(&mut is_there, false)
                    || send(&mut socket, Frame::Ping(Vec::new().into())).await.is_err()
                {
                    return;
                }
            }
        }
    }
}

async fn send(socket: &mut WebSocket, frame: Frame) -> Result<(), ()> {
    match tokio::time::timeout(SEND_MAX, socket.send(frame)).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(()),
    }
}

fn text(message: Value) -> Frame {
    Frame::text(message.to_string())
}

fn error(message: &str) -> Frame {
    text(envelope("error", None, json!({ "message": message })))
}

fn answer(asked: &str, topics: &mut BTreeSet<&'static str>, tenant: &Tenant) -> Vec<Frame> {
    let find = |name: &str| Topic::ALL.into_iter().find(|topic| topic.as_str() == name);
    let unknown = || {
        let names = Topic::ALL.map(Topic::as_str).join(", ");
        vec![error(&format!("there is no such topic; there are {names}"))]
    };
    match serde_json::from_str::<Ask>(asked) {
        Ok(Ask::Subscribe { topic }) => {
            let Some(topic) = find(&topic) else { return unknown() };
            topics.insert(topic.as_str());
            let mut answers = vec![text(envelope("subscribed", Some(topic), Value::Null))];
            if topic == Topic::Health
                && let Some(last) = tenant.hub.health()
            {
                answers.push(Frame::text(last.text.clone()));
            }
            answers
        }
        Ok(Ask::Unsubscribe { topic }) => {
            let Some(topic) = find(&topic) else { return unknown() };
            topics.remove(topic.as_str());
            vec![text(envelope("unsubscribed", Some(topic), Value::Null))]
        }
        Ok(Ask::Ping) => vec![text(envelope("pong", None, Value::Null))],
        Err(_) => vec![error("expected {\"action\": \"subscribe\" or \"unsubscribe\", \"topic\": …}")],
    }
}
