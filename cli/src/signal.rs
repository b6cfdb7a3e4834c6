//! Ctrl-C and SIGTERM: the first asks the command to stop cleanly, the second ends it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::exit;
use crate::ui::Ui;

/// Cancelled by the first signal. Must be called in the runtime.
pub fn watch(ui: &Arc<Ui>) -> CancellationToken {
    let token = CancellationToken::new();
    let (cancel, ui) = (token.clone(), ui.clone());
    tokio::spawn(async move {
        let Some(mut signals) = Signals::new() else { return };
        signals.next().await;
        cancel.cancel();
        ui.warn("interrupted: stopping cleanly; once more ends it at once");
        signals.next().await;
        #[allow(clippy::exit, reason = "that is what the second signal asks for")]
        std::process::exit(i32::from(exit::INTERRUPTED));
    });
    token
}

#[cfg(unix)]
pub use unix::Hangups;
#[cfg(unix)]
use unix::Signals;
#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    /// SIGINT and SIGTERM.
    pub struct Signals(Signal, Signal);

    impl Signals {
        /// `None` when the system gives us none: signals then end the process as ever.
        pub fn new() -> Option<Self> {
            Some(Self(signal(SignalKind::interrupt()).ok()?, signal(SignalKind::terminate()).ok()?))
        }

        pub async fn next(&mut self) {
            tokio::select! {
                _ = self.0.recv() => {}
                _ = self.1.recv() => {}
            }
        }
    }

    /// SIGHUP: read the configuration again.
    pub struct Hangups(Option<Signal>);

    impl Hangups {
        pub fn new() -> Self {
            Self(signal(SignalKind::hangup()).ok())
        }

        pub async fn next(&mut self) {
            match &mut self.0 {
                Some(signals) => drop(signals.recv().await),
                None => std::future::pending().await,
            }
        }
    }
}

#[cfg(not(unix))]
pub use portable::Hangups;
#[cfg(not(unix))]
use portable::Signals;
#[cfg(not(unix))]
mod portable {
    /// Ctrl-C.
    pub struct Signals;

    impl Signals {
        pub fn new() -> Option<Self> {
            Some(Self)
        }

        pub async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// There is no such signal here.
    pub struct Hangups;

    impl Hangups {
        pub fn new() -> Self {
            Self
        }

        pub async fn next(&mut self) {
            std::future::pending().await
        }
    }
}
