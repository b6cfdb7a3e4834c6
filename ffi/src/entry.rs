//! What lies at a path, and listings.

use std::collections::VecDeque;
use std::ffi::{CString, c_char};
use std::sync::Arc;

use rclonepool_core::Result;
use rclonepool_core::index::Listed;
use rclonepool_core::journal::record::{Content, Entry};
use rclonepool_core::path::PoolPath;

use crate::args::{c_text, check_out, pointer, pool_path};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::options::{Options, rclonepool_option as Opt, rclonepool_options};
use crate::panic::{guard, guard_or};
use crate::pool::{rclonepool_pool, shared};
use crate::shared::Shared;

/// What an entry is. Later versions may add some.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_entry_kind {
    /// Nothing: the handle was NULL.
    None = 0,
    /// A file.
    File = 1,
    /// A directory.
    Directory = 2,
    /// A symbolic link.
    Link = 3,
}

/// What lies at a path: a copy, which later changes of the pool do not touch. Freed by `rclonepool_entry_free`,
/// unless it is lent by a list.
pub struct rclonepool_entry {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_entry`].
pub(crate) struct Found {
    path: CString,
    /// Where the name begins in the path.
    name: usize,
    kind: rclonepool_entry_kind,
    size: u64,
    mtime_ns: i64,
    executable: bool,
    content_type: Option<CString>,
    target: Option<CString>,
}

impl Castable for rclonepool_entry {
    type Inner = Found;
    const KIND: &'static str = "entry";
}

impl Found {
    fn new(path: &PoolPath, entry: Option<&Entry>) -> Self {
        let text = c_text(path.as_str());
        let name = path.as_str().rfind('/').map_or(0, |at| at + 1);
        let content = entry.map(|entry| &entry.content);
        Self {
            name,
            kind: match content {
                None | Some(Content::Directory {}) => rclonepool_entry_kind::Directory,
                Some(Content::Link { .. }) => rclonepool_entry_kind::Link,
                Some(_) => rclonepool_entry_kind::File,
            },
            size: content.map_or(0, Content::size),
            mtime_ns: entry.map_or(0, |entry| entry.mtime_ns),
            executable: entry.is_some_and(|entry| entry.executable),
            content_type: entry.and_then(|entry| entry.content_type.as_deref()).map(c_text),
            target: match content {
                Some(Content::Link { target }) => Some(c_text(target)),
                _ => None,
            },
            path: text,
        }
    }
}

/// A listing, read bit by bit. Freed by `rclonepool_list_free`; it must not be used by two threads at once.
pub struct rclonepool_list {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_list`].
pub(crate) struct List {
    shared: Arc<Shared>,
    directory: PoolPath,
    ready: VecDeque<Listed>,
    /// The last path of the pages that were read; none when all were.
    after: Option<PoolPath>,
    /// The entry lent last.
    lent: *mut rclonepool_entry,
}

// SAFETY: the entry behind the pointer belongs to the list alone, and is Send itself.
unsafe impl Send for List {}

impl Castable for rclonepool_list {
    type Inner = List;
    const KIND: &'static str = "list";
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: made by into_handle, and freed when it is replaced or here.
        unsafe { rclonepool_entry::free(self.lent) };
    }
}

/// How many entries of a tree are held at once.
const PAGE: usize = 1024;

impl List {
    fn open(shared: &Arc<Shared>, directory: PoolPath, recursive: bool) -> Result<Self> {
        let call = shared.enter()?;
        let mut list =
            Self { shared: shared.clone(), directory, ready: VecDeque::new(), after: None, lent: std::ptr::null_mut() };
        if recursive && call.is_directory(&list.directory)? {
            list.fill(None)?;
        } else {
            // Says what is wrong, too, where it is no directory.
            list.ready = call.list(&list.directory)?.into();
        }
        Ok(list)
    }

    fn fill(&mut self, after: Option<&PoolPath>) -> Result<()> {
        let call = self.shared.enter()?;
        let page = call.journal().index().entries_below(&self.directory, after, PAGE)?;
        self.after = page.last().filter(|_| page.len() == PAGE).map(|entry| entry.path.clone());
        let listed = |entry: Entry| Listed { path: entry.path.clone(), entry: Some(entry), has_children: false };
        self.ready.extend(page.into_iter().map(listed));
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Listed>> {
        if self.ready.is_empty()
            && let Some(after) = self.after.take()
        {
            // Not after a failure: the same page is tried again.
            self.fill(Some(&after)).inspect_err(|_| self.after = Some(after.clone()))?;
        }
        Ok(self.ready.pop_front())
    }
}

/// What lies at `path`, from what is known here: the remotes are not asked, so what other machines did since the
/// last call that wrote, or `rclonepool_pool_refresh`, is not seen. Fails with `_NOT_FOUND`. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `path` is a NUL-terminated string; `entry` can be written; `err` is NULL or
/// points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_stat(
    pool: *const rclonepool_pool,
    path: *const c_char,
    entry: *mut *mut rclonepool_entry,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("entry", entry)?;
            let (call, path) = (shared(pool)?.enter()?, pool_path("path", path)?);
            let found = call.entry(&path)?;
            if found.is_none() && !call.is_directory(&path)? {
                return Err(not_found(&path));
            }
            entry.write(rclonepool_entry::into_handle(Found::new(&path, found.as_ref())));
            Ok(())
        })
    }
}

fn not_found(path: &PoolPath) -> rclonepool_core::Error {
    rclonepool_core::Error::new(rclonepool_core::ErrorKind::NotFound, "no such file in the pool").at_path(path)
}

/// Begins to list what lies in a directory, sorted by name; with `RECURSIVE`, every file, link and directory that
/// was made below it at any depth, sorted by path. As `rclonepool_stat` it answers from what is known here. Fails
/// with `_DIRECTORY_NOT_FOUND`, and with `_INVALID_ARGUMENT` for a file. Since 0.1.
///
/// # Safety
/// `pool` is a handle that was not freed; `directory` is a NUL-terminated string; `options` is NULL or a handle that
/// no other thread changes; `list` can be written; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_list_open(
    pool: *const rclonepool_pool,
    directory: *const c_char,
    options: *const rclonepool_options,
    list: *mut *mut rclonepool_list,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("list", list)?;
            let options = Options::of(options, &[Opt::Recursive])?;
            let directory = pool_path("directory", directory)?;
            let opened = List::open(shared(pool)?, directory, options.flag(Opt::Recursive))?;
            list.write(rclonepool_list::into_handle(opened));
            Ok(())
        })
    }
}

/// Lends the next entry of a list to `entry`, until the next call with the list: never free it. Returns
/// `RCLONEPOOL_STATUS_END` (1) after the last, and writes NULL then. Since 0.1.
///
/// # Safety
/// `list` is a handle that was not freed and that no other thread uses; `entry` can be written; `err` is NULL or
/// points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_list_next(
    list: *mut rclonepool_list,
    entry: *mut *const rclonepool_entry,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    let mut ended = false;
    // SAFETY: promised by the caller.
    let status = unsafe {
        guard(err, || {
            check_out("entry", entry)?;
            let list = rclonepool_list::get_mut(list)?;
            let next = list.next()?;
            ended = next.is_none();
            let made = next.map_or(std::ptr::null_mut(), |next| {
                rclonepool_entry::into_handle(Found::new(&next.path, next.entry.as_ref()))
            });
            rclonepool_entry::free(std::mem::replace(&mut list.lent, made));
            entry.write(made);
            Ok(())
        })
    };
    if ended { rclonepool_status::End } else { status }
}

/// Frees a list, and with it the entry it lent; NULL is allowed. Since 0.1.
///
/// # Safety
/// `list` is NULL or a handle that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_list_free(list: *mut rclonepool_list) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_list::free(list) });
}

fn name_of(found: &Found) -> *const c_char {
    found.path.as_c_str().to_bytes_with_nul().get(found.name..).map_or(c"".as_ptr(), |name| name.as_ptr().cast())
}

/// The path of an entry; "" for NULL. The text lives as long as the entry. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_path(entry: *const rclonepool_entry) -> *const c_char {
    // SAFETY: promised by the caller.
    guard_or(c"".as_ptr(), || {
        unsafe { rclonepool_entry::inner(entry) }.map_or(c"".as_ptr(), |found| found.path.as_ptr())
    })
}

/// The last part of its path: its name in its directory; "" for the root and for NULL. The text lives as long as the
/// entry. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_name(entry: *const rclonepool_entry) -> *const c_char {
    // SAFETY: promised by the caller.
    guard_or(c"".as_ptr(), || unsafe { rclonepool_entry::inner(entry) }.map_or(c"".as_ptr(), name_of))
}

/// Whether it is a file, a directory or a link. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_get_kind(entry: *const rclonepool_entry) -> rclonepool_entry_kind {
    // SAFETY: promised by the caller.
    guard_or(rclonepool_entry_kind::None, || {
        unsafe { rclonepool_entry::inner(entry) }.map_or(rclonepool_entry_kind::None, |found| found.kind)
    })
}

/// Its length in bytes; 0 for what is no file, and for NULL. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_size(entry: *const rclonepool_entry) -> u64 {
    // SAFETY: promised by the caller.
    guard_or(0, || unsafe { rclonepool_entry::inner(entry) }.map_or(0, |found| found.size))
}

/// Its modification time in nanoseconds since 1970; 0 for a directory that exists only because something lies in it,
/// and for NULL. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_mtime_ns(entry: *const rclonepool_entry) -> i64 {
    // SAFETY: promised by the caller.
    guard_or(0, || unsafe { rclonepool_entry::inner(entry) }.map_or(0, |found| found.mtime_ns))
}

/// 1 when the file is executable, else 0; 0 for NULL. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_executable(entry: *const rclonepool_entry) -> i32 {
    // SAFETY: promised by the caller.
    guard_or(0, || unsafe { rclonepool_entry::inner(entry) }.map_or(0, |found| found.executable.into()))
}

/// Its MIME type; NULL where none was recorded. The text lives as long as the entry. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_content_type(entry: *const rclonepool_entry) -> *const c_char {
    // SAFETY: promised by the caller.
    guard_or(std::ptr::null(), || {
        unsafe { rclonepool_entry::inner(entry) }.map_or(std::ptr::null(), |found| pointer(found.content_type.as_ref()))
    })
}

/// Where a link leads; NULL for all else. The text lives as long as the entry. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_link_target(entry: *const rclonepool_entry) -> *const c_char {
    // SAFETY: promised by the caller.
    guard_or(std::ptr::null(), || {
        unsafe { rclonepool_entry::inner(entry) }.map_or(std::ptr::null(), |found| pointer(found.target.as_ref()))
    })
}

/// Frees an entry; NULL is allowed. Since 0.1.
///
/// # Safety
/// `entry` is NULL or a handle that was not freed and is not lent by a list; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_entry_free(entry: *mut rclonepool_entry) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_entry::free(entry) });
}
