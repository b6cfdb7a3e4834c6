//! Reports: what an operation found or did.

use std::collections::BTreeMap;
use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

use rclonepool_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde_json::Value;

use crate::args::{c_text, check_out, invalid, text};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::panic::{guard, guard_or};

/// What an operation found or did. Its values are read by their places in its JSON text, written as JSON pointers
/// (RFC 6901): "/files", "/remotes/0/name". Freed by `rclonepool_report_free`.
pub struct rclonepool_report {
    _private: [u8; 0],
}

/// What lies behind a [`rclonepool_report`].
pub(crate) struct Report {
    value: Value,
    json: CString,
    status: rclonepool_status,
    /// Texts that were asked for, which live as long as the report.
    texts: Mutex<BTreeMap<String, CString>>,
    failed_files: u64,
}

impl Castable for rclonepool_report {
    type Inner = Report;
    const KIND: &'static str = "report";
}

impl Report {
    /// A report that all is well.
    pub fn new(value: &impl Serialize) -> Result<Self> {
        Self::with(value, None)
    }

    /// A report with what it amounts to.
    pub fn with(value: &impl Serialize, outcome: Option<ErrorKind>) -> Result<Self> {
        let internal = |e: serde_json::Error| Error::new(ErrorKind::Internal, format!("a report has no text: {e}"));
        let value = serde_json::to_value(value).map_err(internal)?;
        let json = c_text(&value.to_string());
        let status = outcome.map_or(rclonepool_status::Ok, rclonepool_status::from);
        Ok(Self { value, json, status, texts: Mutex::default(), failed_files: 0 })
    }

    /// A report of an operation on several files.
    pub fn of_files(value: &impl Serialize, failed: u64) -> Result<Self> {
        let made = Self::with(value, (failed > 0).then_some(ErrorKind::Partial))?;
        Ok(Self { failed_files: failed, ..made })
    }

    /// How many of the files failed.
    pub fn failed_files(&self) -> u64 {
        self.failed_files
    }

    fn at(&self, place: &str) -> Result<&Value> {
        let found = self.value.pointer(place);
        found.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("the report has no {place:?}")))
    }

    fn integer(&self, place: &str) -> Result<i64> {
        let found = self.at(place)?;
        let number = found.as_bool().map(i64::from).or_else(|| found.as_i64());
        number.ok_or_else(|| invalid(format!("{place:?} is no whole number")))
    }

    fn real(&self, place: &str) -> Result<f64> {
        self.at(place)?.as_f64().ok_or_else(|| invalid(format!("{place:?} is no number")))
    }

    fn length(&self, place: &str) -> Result<usize> {
        match self.at(place)? {
            Value::Array(items) => Ok(items.len()),
            Value::Object(members) => Ok(members.len()),
            _ => Err(invalid(format!("{place:?} is no list"))),
        }
    }

    fn text(&self, place: &str) -> Result<*const c_char> {
        let found = match self.at(place)? {
            Value::Null => return Ok(std::ptr::null()),
            found => found.as_str().ok_or_else(|| invalid(format!("{place:?} is no text")))?,
        };
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(texts.entry(place.to_owned()).or_insert_with(|| c_text(found)).as_ptr())
    }
}

/// Reads a value of a report.
///
/// # Safety
/// `report` is NULL or a handle, `place` is NULL or a string, `value` and `err` are NULL or writable.
unsafe fn read<T>(
    report: *const rclonepool_report,
    place: *const c_char,
    value: *mut T,
    err: *mut *mut rclonepool_error,
    of: impl FnOnce(&Report, &str) -> Result<T>,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe {
        guard(err, || {
            check_out("value", value)?;
            value.write(of(rclonepool_report::get(report)?, text("place", place)?)?);
            Ok(())
        })
    }
}

/// All of a report as JSON, the keys as the command prints them with --json; "" for NULL. The text lives until the
/// report is freed. Since 0.1.
///
/// # Safety
/// `report` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_json(report: *const rclonepool_report) -> *const c_char {
    guard_or(c"".as_ptr(), || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_report::inner(report) }.map_or(c"".as_ptr(), |report| report.json.as_ptr())
    })
}

/// What a report amounts to: `RCLONEPOOL_STATUS_OK`; `_PARTIAL` where single files failed; of a verification
/// `_UNRECOVERABLE`, `_CORRUPT`, `_DEGRADED` or `_UNAVAILABLE`; of a health report these but `_CORRUPT`. `_OK` for
/// NULL. Since 0.1.
///
/// # Safety
/// `report` is NULL or a handle that was not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_status(report: *const rclonepool_report) -> rclonepool_status {
    guard_or(rclonepool_status::Internal, || {
        // SAFETY: promised by the caller.
        unsafe { rclonepool_report::inner(report) }.map_or(rclonepool_status::Ok, |report| report.status)
    })
}

/// Writes the whole number at `place` to `value`; true and false are 1 and 0. Fails with
/// `RCLONEPOOL_STATUS_NOT_FOUND` where there is nothing, `_INVALID_ARGUMENT` for something else. Since 0.1.
///
/// # Safety
/// `report` is a handle that was not freed; `place` is a NUL-terminated string; `value` can be written; `err` is
/// NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_integer(
    report: *const rclonepool_report,
    place: *const c_char,
    value: *mut i64,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { read(report, place, value, err, Report::integer) }
}

/// Writes the number at `place` to `value`. Fails as `rclonepool_report_integer`. Since 0.1.
///
/// # Safety
/// As for `rclonepool_report_integer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_real(
    report: *const rclonepool_report,
    place: *const c_char,
    value: *mut f64,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { read(report, place, value, err, Report::real) }
}

/// Writes a pointer to the text at `place` to `value`, NULL where the report says null. The text lives until the
/// report is freed. Fails as `rclonepool_report_integer`. Since 0.1.
///
/// # Safety
/// As for `rclonepool_report_integer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_text(
    report: *const rclonepool_report,
    place: *const c_char,
    value: *mut *const c_char,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { read(report, place, value, err, Report::text) }
}

/// Writes how many items the list (or members the object) at `place` has to `value`; "" is the report itself.
/// Fails as `rclonepool_report_integer`. Since 0.1.
///
/// # Safety
/// As for `rclonepool_report_integer`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_length(
    report: *const rclonepool_report,
    place: *const c_char,
    value: *mut usize,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { read(report, place, value, err, Report::length) }
}

/// Frees a report, and with it its texts; NULL is allowed. Since 0.1.
///
/// # Safety
/// `report` is NULL or a handle that was not freed, and not lent by a plan; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_report_free(report: *mut rclonepool_report) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_report::free(report) });
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;

    #[test]
    fn values_are_read_by_their_places() {
        let value = serde_json::json!({"files": 3, "list": [{"name": "a\0b", "none": null, "on": true}], "part": 0.5});
        let report = Report::new(&value).unwrap();
        assert_eq!(report.integer("/files").unwrap(), 3);
        assert_eq!(report.integer("/list/0/on").unwrap(), 1);
        assert_eq!(report.length("/list").unwrap(), 1);
        assert_eq!(report.length("").unwrap(), 3);
        assert!((report.real("/part").unwrap() - 0.5).abs() < 1e-9);
        assert_eq!(unsafe { CStr::from_ptr(report.text("/list/0/name").unwrap()) }, c"a\\0b");
        assert!(report.text("/list/0/none").unwrap().is_null());
        assert_eq!(report.integer("/nothing").unwrap_err().kind(), ErrorKind::NotFound);
        for wrong in [report.integer("/part").err(), report.text("/files").err(), report.length("/files").err()] {
            assert_eq!(wrong.map(|e| e.kind()), Some(ErrorKind::InvalidArgument));
        }
    }
}
