//! Events: what an operation tells while it runs.

use std::ffi::{CString, c_char, c_void};

use rclonepool_core::Event;
use rclonepool_core::monitor::FileAction;

use crate::args::{c_text, pointer};

/// What an event is about. Later versions may add some: ignore what you do not know.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_event_kind {
    /// How far the operation is.
    Progress = 1,
    /// A file is done: `path`, `size`, and as `text` "uploaded", "unchanged", "downloaded" or "skipped".
    File = 2,
    /// A file failed, and the operation goes on: `path`, and as `text` why.
    FileFailed = 3,
    /// Something the user should know: `text`.
    Notice = 4,
    /// The pool's health, when it is first known and whenever it has changed: `text` is the worst state of any
    /// file.
    Health = 5,
}

/// An event. It and its texts live until the callback returns. Made by the library only; later versions may add
/// members at the end, and `struct_size` tells how many bytes there are.
#[repr(C)]
pub struct rclonepool_event {
    /// Bytes of this struct.
    pub struct_size: u32,
    /// What it is about.
    pub kind: rclonepool_event_kind,
    /// Bytes done so far.
    pub bytes_done: u64,
    /// Bytes that are known to be ahead in all; may grow, and is 0 where it is not known.
    pub bytes_total: u64,
    /// Items done so far: chunks of one file, or files of a directory.
    pub items_done: u64,
    /// Items in all, as far as is known.
    pub items_total: u64,
    /// The size of the file, in bytes; 0 where the event is about no file.
    pub size: u64,
    /// The path in the pool, or the local path; NULL where the event is about no file.
    pub path: *const c_char,
    /// In words; NULL for mere progress.
    pub text: *const c_char,
    /// All of it as JSON, as the command prints it with --json; NULL for mere progress.
    pub json: *const c_char,
}

/// Takes events. Runs only within a call of yours that was given it, on the thread that made this call, with no
/// lock held: it may call the library, but neither close nor free the pool. What is not 0 cancels the operation. It
/// must return: no exception or longjmp may leave it.
pub type rclonepool_event_fn =
    Option<unsafe extern "C" fn(userdata: *mut c_void, event: *const rclonepool_event) -> i32>;

/// Who takes events, for the time of a call.
#[derive(Clone, Copy)]
pub(crate) struct Taker {
    pub callback: rclonepool_event_fn,
    pub userdata: *mut c_void,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub bytes_done: u64,
    pub bytes_total: u64,
    pub items_done: u64,
    pub items_total: u64,
}

impl Counts {
    /// Counts an event; gives back whether it was one of these.
    pub fn add(&mut self, event: &Event) -> bool {
        match event {
            Event::Total { bytes, items } => (self.bytes_total, self.items_total) = (*bytes, *items),
            Event::Progress { bytes, items } => {
                self.bytes_done = self.bytes_done.saturating_add(*bytes);
                self.items_done = self.items_done.saturating_add(*items);
            }
            _ => return false,
        }
        true
    }
}

/// An event that waits to be taken.
#[derive(Debug)]
pub(crate) struct Told {
    kind: rclonepool_event_kind,
    size: u64,
    path: Option<CString>,
    text: Option<CString>,
    json: Option<CString>,
}

impl Told {
    /// What C is told of an event; `None` for one that this version has no words for.
    pub fn of(event: &Event) -> Option<Self> {
        let (kind, size, path, text) = match event {
            Event::File { path, size, action } => {
                let done = match action {
                    FileAction::Uploaded => "uploaded",
                    FileAction::Unchanged => "unchanged",
                    FileAction::Downloaded => "downloaded",
                    FileAction::Skipped => "skipped",
                };
                (rclonepool_event_kind::File, *size, Some(path.as_str()), done)
            }
            Event::FileFailed { path, error } => {
                (rclonepool_event_kind::FileFailed, 0, Some(path.as_str()), error.as_str())
            }
            Event::Notice { message } => (rclonepool_event_kind::Notice, 0, None, message.as_str()),
            Event::Health { state, .. } => (rclonepool_event_kind::Health, 0, None, state.as_str()),
            _ => return None,
        };
        let json = serde_json::to_string(event).ok().as_deref().map(c_text);
        Some(Self { kind, size, path: path.map(c_text), text: Some(c_text(text)), json })
    }

    /// A notice of our own.
    pub fn notice(message: &str) -> Option<Self> {
        Self::of(&Event::Notice { message: message.into() })
    }

    /// Mere progress.
    pub fn progress() -> Self {
        Self { kind: rclonepool_event_kind::Progress, size: 0, path: None, text: None, json: None }
    }
}

impl Taker {
    /// Hands over an event; gives back whether to cancel.
    ///
    /// # Safety
    /// The callback may be called with the userdata.
    pub unsafe fn take(self, told: &Told, counts: Counts) -> bool {
        let Some(callback) = self.callback else { return false };
        let event = rclonepool_event {
            struct_size: u32::try_from(size_of::<rclonepool_event>()).unwrap_or(0),
            kind: told.kind,
            bytes_done: counts.bytes_done,
            bytes_total: counts.bytes_total,
            items_done: counts.items_done,
            items_total: counts.items_total,
            size: told.size,
            path: pointer(told.path.as_ref()),
            text: pointer(told.text.as_ref()),
            json: pointer(told.json.as_ref()),
        };
        // SAFETY: promised by the caller; the event outlives the call.
        unsafe { callback(self.userdata, &raw const event) != 0 }
    }
}
