//! What browsers sign in with: cookies, and tickets for the WebSocket.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rclonepool_core::Result;

use super::token::{digest, new_secret};

/// How long a browser stays signed in.
pub const SESSION: Duration = Duration::from_secs(12 * 3600);
/// How long a ticket can be used, once.
pub const TICKET: Duration = Duration::from_secs(30);
/// How many of each are kept.
const KEPT_MAX: usize = 10_000;

/// Who holds a cookie or a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user; none where there is no sign-in.
    pub name: Option<Arc<str>>,
    /// Whether they signed in by what may only read.
    pub read_only: bool,
    /// What they signed in with, as it stood in the configuration: no longer valid once that has changed.
    pub proof: [u8; 32],
}

/// Cookies or tickets, by their hashes.
#[derive(Debug)]
pub struct Held {
    life: Duration,
    held: Mutex<HashMap<[u8; 32], (Holder, Instant)>>,
}

impl Held {
    /// For things that live so long.
    pub fn new(life: Duration) -> Self {
        Self { life, held: Mutex::default() }
    }

    /// A new one.
    ///
    /// # Errors
    /// `Internal` when the system gives no random numbers.
    pub fn give(&self, holder: Holder) -> Result<String> {
        let (text, now) = (new_secret()?, Instant::now());
        let mut held = self.held.lock();
        if held.len() >= KEPT_MAX {
            held.retain(|_, (_, until)| *until > now);
            if held.len() >= KEPT_MAX {
                held.clear();
            }
        }
        held.insert(digest(&text), (holder, now + self.life));
        Ok(text)
    }

    /// Who holds it.
    pub fn find(&self, text: &str) -> Option<Holder> {
        let held = self.held.lock();
        held.get(&digest(text)).filter(|(_, until)| *until > Instant::now()).map(|(holder, _)| holder.clone())
    }

    /// Takes it away; gives back who held it.
    pub fn take(&self, text: &str) -> Option<Holder> {
        let (holder, until) = self.held.lock().remove(&digest(text))?;
        (until > Instant::now()).then_some(holder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_used_once_and_ends() {
        let holder = Holder { name: Some("ann".into()), read_only: false, proof: [1; 32] };
        let tickets = Held::new(TICKET);
        let text = tickets.give(holder.clone()).unwrap();
        assert_eq!(tickets.find(&text), Some(holder.clone()));
        assert_eq!(tickets.take(&text), Some(holder.clone()));
        assert_eq!((tickets.take(&text), tickets.find("rp_x")), (None, None));
        let ended = Held::new(Duration::ZERO);
        let text = ended.give(holder).unwrap();
        assert_eq!((ended.find(&text), ended.take(&text)), (None, None));
    }
}
