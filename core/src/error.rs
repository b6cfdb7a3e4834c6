//! The one public error type.
//!
//! Policy: every fallible public function returns [`Error`]. The code that knows *what* failed
//! creates it; callers add *where* ([`Error::on_remote`], [`Error::at_path`]) and what the user can
//! do ([`Error::hint`]) and pass it on; nobody wraps it again. Whether to retry is asked of the
//! kind, never of the text.

use std::fmt;

/// The result of every fallible operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is. Faces map each kind to one exit code, C code, exception
/// and HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file or object is definitely not there.
    NotFound,
    /// The directory is definitely not there.
    DirectoryNotFound,
    /// Something is there already, and would be overwritten or is of another kind.
    AlreadyExists,
    /// A path, argument or option that cannot be used.
    InvalidArgument,
    /// The configuration is wrong.
    Config,
    /// What was asked is not supported here (or not yet).
    Unsupported,
    /// A remote (or too many of them) cannot be reached: offline, timed out, refused.
    Unavailable,
    /// The remote asks for fewer requests.
    RateLimited,
    /// A time limit passed.
    Timeout,
    /// The remote refuses us: credentials, permissions, missing configuration.
    Auth,
    /// The remote, the pool or the local disk is full, or over quota.
    Full,
    /// Stored bytes are not what was stored.
    Corrupt,
    /// Too many shards are gone: the content cannot be rebuilt.
    Unrecoverable,
    /// The source changed while it was read.
    SourceChanged,
    /// Another process holds what is needed.
    Busy,
    /// The pool was written by a later version.
    FormatVersion,
    /// Several files were asked for and some of them failed.
    Partial,
    /// Something is damaged, missing or badly placed, and all of it can still be read.
    Degraded,
    /// The caller cancelled.
    Cancelled,
    /// A local file or system call failed.
    Io,
    /// A bug in rclonepool.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed when it is made again a little later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::RateLimited | Self::Timeout | Self::Busy)
    }
}

/// An error: what failed, where, why, and what to do next.
///
/// `Display` gives all of it on one line.
#[derive(thiserror::Error)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    remote: Option<String>,
    path: Option<String>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Makes an error; `message` says what failed and why, without a final full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), remote: None, path: None, hint: None, source: None }
    }

    /// An error for a failed system call on a local file.
    pub fn io(action: impl fmt::Display, error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Auth,
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => ErrorKind::Full,
            std::io::ErrorKind::TimedOut => ErrorKind::Timeout,
            _ => ErrorKind::Io,
        };
        let mut made = Self::new(kind, format!("{action}: {error}"));
        made.source = Some(Box::new(error));
        made
    }

    /// Names the remote it happened on (the first name given stays).
    #[must_use]
    pub fn on_remote(mut self, remote: impl Into<String>) -> Self {
        self.remote.get_or_insert_with(|| remote.into());
        self
    }

    /// Names the pool path, local path or object it happened to (the first name given stays).
    #[must_use]
    pub fn at_path(mut self, path: impl fmt::Display) -> Self {
        self.path.get_or_insert_with(|| path.to_string());
        self
    }

    /// Says what the user can do next (the first hint given stays).
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same once more, for another who waited for it; the cause stays with the first.
    pub(crate) fn repeat(&self) -> Self {
        let Self { kind, message, remote, path, hint, source: _ } = self;
        let (message, remote, path, hint) = (message.clone(), remote.clone(), path.clone(), hint.clone());
        Self { kind: *kind, message, remote, path, hint, source: None }
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What failed and why, without the remote, path and hint.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The remote it happened on, as the configuration names it.
    pub fn remote(&self) -> Option<&str> {
        self.remote.as_deref()
    }

    /// The path or object it happened to.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// What the user can do next.
    pub fn next_step(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether the same call may succeed a little later.
    pub fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(remote) = &self.remote {
            // An rclone remote's name ends in the colon already.
            write!(f, "remote {}: ", remote.strip_suffix(':').unwrap_or(remote))?;
        }
        if let Some(path) = &self.path {
            write!(f, "{}: ", path.escape_debug())?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.kind)?;
        if let Some(source) = &self.source {
            write!(f, " [{source:?}]")?;
        }
        Ok(())
    }
}
