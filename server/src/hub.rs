//! What happens in a pool, for who listens.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::broadcast;

/// How many events wait for a slow listener; then it loses the oldest, and is told so.
const QUEUE: usize = 256;

/// What can be listened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// Uploads through this server.
    UploadProgress,
    /// Downloads through this server.
    DownloadProgress,
    /// Verifications, repairs and rebuilds.
    Verification,
    /// The pool's health.
    Health,
    /// Shards that are moved: rebalancing and draining.
    Rebalance,
    /// How fast bytes come and go, every other second.
    Throughput,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 6] = [
        Self::UploadProgress,
        Self::DownloadProgress,
        Self::Verification,
        Self::Health,
        Self::Rebalance,
        Self::Throughput,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UploadProgress => "upload_progress",
            Self::DownloadProgress => "download_progress",
            Self::Verification => "verification",
            Self::Health => "health",
            Self::Rebalance => "rebalance",
            Self::Throughput => "throughput",
        }
    }
}

/// Something that happened.
#[derive(Debug)]
pub struct Message {
    /// What it is about.
    pub topic: Topic,
    /// It, as JSON.
    pub text: String,
}

/// Passes on what happens in one pool. Nobody waits for listeners.
#[derive(Debug)]
pub struct Hub {
    sender: broadcast::Sender<Arc<Message>>,
    /// The last word on the pool's health: whoever comes later learns it, too.
    health: Mutex<Option<Arc<Message>>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(QUEUE), health: Mutex::default() }
    }
}

impl Hub {
    /// Tells an event: `data` is an object.
    pub fn tell(&self, topic: Topic, data: Value) {
        if self.sender.receiver_count() == 0 && topic != Topic::Health {
            return;
        }
        let text = envelope(topic.as_str(), Some(topic), data).to_string();
        let message = Arc::new(Message { topic, text });
        if topic == Topic::Health {
            *self.health.lock() = Some(message.clone());
        }
        // An error says that nobody listens.
        let _ = self.sender.send(message);
    }

    /// Everything from now on.
    pub fn listen(&self) -> broadcast::Receiver<Arc<Message>> {
        self.sender.subscribe()
    }

    /// The last word on the pool's health.
    pub fn health(&self) -> Option<Arc<Message>> {
        self.health.lock().clone()
    }
}

/// A message as it is sent: what it is, when, and `data`.
pub fn envelope(kind: &str, topic: Option<Topic>, data: Value) -> Value {
    let mut message = serde_json::Map::from_iter([("type".to_owned(), Value::from(kind))]);
    if let Some(topic) = topic {
        message.insert("topic".into(), topic.as_str().into());
    }
    message.insert("time".into(), now().into());
    if !data.is_null() {
        message.insert("data".into(), data);
    }
    Value::Object(message)
}

/// The time as RFC 3339 has it, in UTC.
pub fn now() -> String {
    time(jiff::Timestamp::now())
}

/// Milliseconds since 1970 as RFC 3339 has it, in UTC.
pub fn time_of_ms(ms: u64) -> String {
    time(jiff::Timestamp::from_millisecond(i64::try_from(ms).unwrap_or(i64::MAX)).unwrap_or_default())
}

fn time(at: jiff::Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_and_health_is_remembered() {
        let hub = Hub::default();
        hub.tell(Topic::Health, serde_json::json!({"state": "healthy"}));
        let mut listener = hub.listen();
        assert!(hub.health().unwrap().text.contains("\"healthy\""));
        for i in 0..QUEUE + 10 {
            hub.tell(Topic::Rebalance, serde_json::json!({ "i": i }));
        }
        let lost = listener.try_recv().unwrap_err();
        assert!(matches!(lost, broadcast::error::TryRecvError::Lagged(10)), "{lost:?}");
        assert!(listener.try_recv().unwrap().text.contains("\"i\":10"));
        assert_eq!(time_of_ms(1_000), "1970-01-01T00:00:01.000Z");
    }
}
