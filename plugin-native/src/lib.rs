//! Plugins that are shared libraries with the table of `rclonepool_plugin.h`.
//!
//! The one crate beside the C ABI's that calls foreign code: whoever wants such plugins adds [`loader`] to the options a
//! pool is opened with. Who may have written a library is checked by the core before it gets here; from then on it is
//! code of this process. Libraries are never unloaded: threads of theirs may run, and their tables are kept.
// Foreign functions can be called in no other way; each block says what it relies on.
#![allow(unsafe_code)]
#![warn(unsafe_op_in_unsafe_fn)]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rclonepool_core::plugin::{Answer, Fault, Instance, Loader, Metadata, PAYLOAD_BYTES_MAX, PluginId};
use serde_json::{Map, Value};

mod table;

use table::{ABI, HOST, Reply, Table};

/// The most bytes of what a library says of its plugins.
const DESCRIPTION_BYTES_MAX: usize = 1 << 20;

/// Runs shared libraries: `.so`, on macOS `.dylib`, on Windows `.dll`.
pub fn loader() -> Arc<dyn Loader> {
    Arc::new(Native::default())
}

#[derive(Debug, Default)]
struct Native {
    /// Each file is opened once.
    open: Mutex<HashMap<PathBuf, &'static Table>>,
}

impl Native {
    fn table(&self, file: &Path) -> Result<&'static Table, Fault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(table) = open.get(file) {
            return Ok(table);
        }
        // SAFETY: runs the library's initialisers; that its author is trusted was checked by the file's owner and mode.
        let library = unsafe { libloading::Library::new(file) }.map_err(|e| Fault::Broken(e.to_string()))?;
        // Never dropped, so what it exports stays.
        let library: &'static libloading::Library = Box::leak(Box::new(library));
        // SAFETY: the header fixes the type of what has this name.
        let export = unsafe { library.get::<unsafe extern "C" fn() -> *const Table>(b"rclonepool_plugin\0") };
        let export = export.map_err(|_| Fault::broken("it has no function rclonepool_plugin"))?;
        // SAFETY: takes nothing, and gives NULL or a table that stays, as the header says.
        let table: &'static Table = unsafe { export().as_ref() }.ok_or_else(|| Fault::broken("it gives no table"))?;
        let (abi, size) = (table.abi, table.struct_size as usize);
        if abi != ABI {
            return Err(Fault::Broken(format!("it is made for version {abi} of rclonepool_plugin.h; this is {ABI}")));
        }
        if size < size_of::<Table>() {
            return Err(Fault::Broken(format!("its table has {size} bytes instead of {}", size_of::<Table>())));
        }
        open.insert(file.to_owned(), table);
        Ok(table)
    }

    fn described(table: &Table) -> Result<Vec<Metadata>, Fault> {
        let describe = table.describe.ok_or_else(|| Fault::broken("its table lacks describe"))?;
        // SAFETY: takes nothing, and gives NULL or a text that stays.
        let text = unsafe { describe() };
        if text.is_null() {
            return Err(Fault::broken("it says nothing of its plugins"));
        }
        // SAFETY: not NULL, and ends with a zero byte, as the header says.
        let text = unsafe { CStr::from_ptr(text) }.to_bytes();
        if text.len() > DESCRIPTION_BYTES_MAX {
            return Err(Fault::broken("it says too much of its plugins"));
        }
        serde_json::from_slice(text).map_err(|e| Fault::Broken(format!("its metadata is wrong: {e}")))
    }
}

impl Loader for Native {
    fn takes(&self, file: &Path) -> bool {
        file.extension().is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION)
    }

    fn describe(&self, file: &Path, _: Duration) -> Result<Vec<Metadata>, Fault> {
        Self::described(self.table(file)?)
    }

    fn start(
        &self,
        file: &Path,
        id: &PluginId,
        config: &Map<String, Value>,
        _: Duration,
    ) -> Result<(Box<dyn Instance>, Metadata), Fault> {
        let table = self.table(file)?;
        let metadata = Self::described(table)?.into_iter().find(|one| one.id().is_ok_and(|found| found == *id));
        let metadata = metadata.ok_or_else(|| Fault::Broken(format!("{} has no {id}", file.display())))?;
        let (Some(create), Some(_), Some(_)) = (table.create, table.call, table.destroy) else {
            return Err(Fault::broken("its table lacks create, call or destroy"));
        };
        let (kind, name) = (text(id.kind.as_str())?, text(&id.name)?);
        let config = text(&serde_json::to_string(config).unwrap_or_default())?;
        let mut reply = Reply::default();
        // SAFETY: all texts end with a zero byte and live until it returns, as do HOST and the reply.
        let plugin = unsafe { create(kind.as_ptr(), name.as_ptr(), config.as_ptr(), &raw const HOST, &raw mut reply) };
        if plugin.is_null() {
            return Err(reply.fault());
        }
        Ok((Box::new(Made { table, plugin }), metadata))
    }
}

fn text(text: &str) -> Result<CString, Fault> {
    CString::new(text).map_err(|_| Fault::broken("a text for it holds a zero byte"))
}

/// A plugin of a library.
#[derive(Debug)]
struct Made {
    table: &'static Table,
    plugin: *mut c_void,
}

// SAFETY: the header says that calls come from any thread, one at a time; `&mut self` sees to the latter.
unsafe impl Send for Made {}

impl Instance for Made {
    fn call(&mut self, method: &str, args: Value, data: &[u8], time: Duration) -> Result<Answer, Fault> {
        let (method, args) = (text(method)?, text(&args.to_string())?);
        let call = self.table.call.ok_or_else(|| Fault::broken("its table lacks call"))?;
        let mut reply = Reply::default();
        let since = Instant::now();
        let (at, size): (*const u8, usize) = (data.as_ptr(), data.len());
        // SAFETY: the plugin is one of `create`, not destroyed yet; texts, bytes, HOST and reply live until it returns.
        let done =
            unsafe { call(self.plugin, method.as_ptr(), args.as_ptr(), at, size, &raw const HOST, &raw mut reply) };
        if done != 0 {
            return Err(reply.fault());
        }
        // It cannot be ended; but who is late like that is not asked for ever.
        if since.elapsed() > time {
            return Err(Fault::Broken(format!("took {:.1} s", since.elapsed().as_secs_f64())));
        }
        reply.answer()
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(destroy) = self.table.destroy {
            // SAFETY: one of `create`, and destroyed only here.
            unsafe { destroy(self.plugin) };
        }
    }
}

impl Reply {
    fn fault(self) -> Fault {
        let (kind, message) = self.error.unwrap_or_else(|| ("Error".into(), "it did not say why".into()));
        Fault::Raised { kind, message }
    }

    fn answer(self) -> Result<Answer, Fault> {
        if self.data.len() > PAYLOAD_BYTES_MAX {
            return Err(Fault::Broken(format!("answered {} bytes; {PAYLOAD_BYTES_MAX} are the most", self.data.len())));
        }
        let value = match &self.value {
            None => Value::Null,
            Some(json) => serde_json::from_slice(json).map_err(|e| Fault::Broken(format!("answered nonsense: {e}")))?,
        };
        Ok(Answer { value, data: self.data })
    }
}

/// A text of a plugin, as far as it is one.
///
/// # Safety
/// NULL, or ends with a zero byte.
unsafe fn read(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: not NULL, and promised by the caller.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    text.chars().take(2000).collect()
}
