//! Copying a body into a file, inside the kernel where it can.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::remote::Body;

/// How much is copied between two looks at `cancelled`.
const STEP_BYTES: u64 = 8 << 20;

/// Writes all of `body` to the empty `to`.
///
/// The body may be read by others at the same time, so only explicit offsets are used on its side.
/// Errors: `Interrupted` when `cancelled` was set, `UnexpectedEof` when the body is shorter than it says.
pub(super) fn copy(body: &Body, to: &File, cancelled: &AtomicBool) -> io::Result<()> {
    let mut done = 0;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Body::File { file, size } = body {
        done = in_kernel::copy(file, to, *size, cancelled)?;
    }
    by_hand(body, to, done, cancelled)
}

fn check(cancelled: &AtomicBool) -> io::Result<()> {
    if cancelled.load(Ordering::Relaxed) { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// Reads and writes what is left from `done` on; the cursor of `to` stands there.
fn by_hand(body: &Body, mut to: &File, mut done: u64, cancelled: &AtomicBool) -> io::Result<()> {
    if let Body::Bytes(bytes) = body {
        for step in bytes.chunks(STEP_BYTES as usize) {
            check(cancelled)?;
            to.write_all(step)?;
        }
        return Ok(());
    }
    let mut buffer = vec![0; (body.size() - done).min(1 << 20) as usize];
    while done < body.size() {
        check(cancelled)?;
        let want = (body.size() - done).min(buffer.len() as u64) as usize;
        body.read_at(done, &mut buffer[..want]).map_err(|e| match e.kind() {
            crate::ErrorKind::SourceChanged => io::ErrorKind::UnexpectedEof.into(),
            _ => io::Error::other(e),
        })?;
        to.write_all(&buffer[..want])?;
        done += want as u64;
    }
    Ok(())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod in_kernel {
    use std::fs::File;
    use std::io;
    use std::sync::atomic::AtomicBool;

    use rustix::io::Errno;

    use super::{STEP_BYTES, check};

    /// Copies as much as the kernel can by itself and tells how much that was.
    pub(super) fn copy(from: &File, to: &File, size: u64, cancelled: &AtomicBool) -> io::Result<u64> {
        let mut done = 0;
        // Shares the blocks where both lie on one file system that can.
        run(&mut done, size, cancelled, |at, n| rustix::fs::copy_file_range(from, Some(at), to, None, n))?;
        // Between file systems (a memfd is one) pages go over without passing through our memory.
        run(&mut done, size, cancelled, |at, n| rustix::fs::sendfile(to, from, Some(at), n))?;
        Ok(done)
    }

    fn run(
        done: &mut u64,
        size: u64,
        cancelled: &AtomicBool,
        mut step: impl FnMut(&mut u64, usize) -> rustix::io::Result<usize>,
    ) -> io::Result<()> {
        while *done < size {
            check(cancelled)?;
            let want = (size - *done).min(STEP_BYTES) as usize;
            match step(done, want) {
                // Ended early, or a file system that lies about it: reading will tell.
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::BADF) => break,
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
