//! A line of a listing.

use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyTzInfo};
use rclonepool_core::PoolPath;
use rclonepool_core::index::Listed;
use rclonepool_core::journal::record::{Content, Entry};

/// What a path of the pool holds.
#[pyclass(frozen, get_all, eq, hash, name = "Entry", module = "rclonepool", from_py_object)]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct PoolEntry {
    /// The absolute path in the pool.
    path: String,
    /// ``"file"``, ``"directory"`` or ``"link"``.
    #[pyo3(name = "type")]
    kind: &'static str,
    /// The file's length in bytes; 0 for what is no file.
    size: u64,
    /// Modification time in nanoseconds since 1970; ``None`` for a directory that only exists by what lies in it.
    mtime_ns: Option<i64>,
    /// When it was put into the pool, in milliseconds since 1970.
    created_ms: Option<u64>,
    /// Whether a file is executable.
    executable: bool,
    /// MIME type, where the writer gave one.
    content_type: Option<String>,
    /// Where a link points.
    target: Option<String>,
    /// The SHA-256 of a file's bytes in hex, where it is known without reading: of files of one chunk, and of all
    /// where ``file_hashes`` asks for it.
    sha256: Option<String>,
}

impl PoolEntry {
    pub fn new(entry: &Entry) -> Self {
        let (kind, target) = match &entry.content {
            Content::File { .. } | Content::Inline { .. } => ("file", None),
            Content::Link { target } => ("link", Some(target.clone())),
            Content::Directory {} => ("directory", None),
        };
        Self {
            path: entry.path.to_string(),
            kind,
            size: entry.content.size(),
            mtime_ns: Some(entry.mtime_ns),
            created_ms: Some(entry.created_ms),
            executable: entry.executable,
            content_type: entry.content_type.clone(),
            target,
            sha256: sha256(&entry.content),
        }
    }

    /// A directory without a manifest of its own.
    pub fn directory(path: &PoolPath) -> Self {
        Self {
            path: path.to_string(),
            kind: "directory",
            size: 0,
            mtime_ns: None,
            created_ms: None,
            executable: false,
            content_type: None,
            target: None,
            sha256: None,
        }
    }

    pub fn listed(listed: &Listed) -> Self {
        match &listed.entry {
            Some(entry) => Self::new(entry),
            None => Self::directory(&listed.path),
        }
    }
}

fn sha256(content: &Content) -> Option<String> {
    match content {
        Content::Inline { sha256, .. } => Some(sha256.to_string()),
        Content::File { hashes, extents, .. } => hashes.sha256.clone().or_else(|| match extents.as_slice() {
            [whole] => Some(whole.sha256.to_string()),
            _ => None,
        }),
        _ => None,
    }
}

#[pymethods]
impl PoolEntry {
    /// The last component of the path.
    #[getter]
    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Modification time as an aware ``datetime`` in UTC.
    #[getter]
    #[allow(clippy::cast_precision_loss, reason = "datetime has microseconds")]
    fn modified<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDateTime>>> {
        let utc = PyTzInfo::utc(py)?;
        self.mtime_ns.map(|ns| PyDateTime::from_timestamp(py, ns as f64 / 1e9, Some(&utc))).transpose()
    }

    /// Whether it is a file.
    fn is_file(&self) -> bool {
        self.kind == "file"
    }

    /// Whether it is a directory.
    fn is_dir(&self) -> bool {
        self.kind == "directory"
    }

    /// Whether it is a symbolic link.
    fn is_link(&self) -> bool {
        self.kind == "link"
    }

    fn __fspath__(&self) -> &str {
        &self.path
    }

    fn __repr__(&self) -> String {
        format!("Entry({:?}, type={:?}, size={})", self.path, self.kind, self.size)
    }
}
