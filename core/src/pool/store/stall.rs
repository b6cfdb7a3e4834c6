//! Uploads that take much longer than those beside them.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::error::Result;

/// Nothing is cut before.
const LEAST: Duration = Duration::from_secs(10);
/// How many times as long as the others a put may take.
const TIMES: u32 = 2;

/// The puts of one chunk's shards.
pub(in crate::pool) struct Together {
    /// Half of them, rounded up.
    half: usize,
    /// How many are stored, and how long the slowest of the first half took.
    stored: watch::Sender<(usize, Duration)>,
}

/// What became of a put.
pub(super) enum Done<T> {
    /// It ended.
    Put(Result<()>),
    /// It was cut off, and there is somewhere else.
    Cut(T),
}

impl Together {
    pub(super) fn new(puts: usize) -> Self {
        Self { half: puts.div_ceil(2), stored: watch::Sender::new((0, Duration::ZERO)) }
    }

    /// Waits for a put. Once half of them are stored, one that takes longer than twice their time, and 10 s, is cut
    /// off if it can go elsewhere; else it goes on.
    pub(super) async fn put<T>(
        &self,
        put: impl Future<Output = Result<()>>,
        elsewhere: impl FnOnce() -> Option<T>,
    ) -> Done<T> {
        let (mut put, begun) = (pin!(put), Instant::now());
        let done = tokio::select! {
            biased;
            done = &mut put => done,
            () = self.stalled(begun) => match elsewhere() {
                Some(elsewhere) => return Done::Cut(elsewhere),
                None => put.await,
            },
        };
        if done.is_ok() {
            self.stored.send_modify(|(stored, slowest)| {
                *stored += 1;
                if *stored <= self.half {
                    *slowest = begun.elapsed().max(*slowest);
                }
            });
        }
        Done::Put(done)
    }

    async fn stalled(&self, begun: Instant) {
        let mut told = self.stored.subscribe();
        let half = told.wait_for(|(stored, _)| *stored >= self.half).await.map(|half| half.1);
        match half {
            Ok(slowest) => sleep_until(begun + LEAST.max(slowest * TIMES)).await,
            Err(_) => std::future::pending().await,
        }
    }
}
