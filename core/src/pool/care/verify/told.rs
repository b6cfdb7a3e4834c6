//! Telling event handlers what a verification found.

use std::collections::HashMap;

use serde_json::json;

use super::VerifyOptions;
use crate::error::Result;
use crate::journal::record::Entry;
use crate::plugin::Hook;
use crate::pool::Pool;
use crate::pool::care::{FileHealth, FileState};

impl Pool {
    /// Tells of each file that was verified how it is; `ailing` are those that are not healthy.
    pub(super) fn tell_verified(&self, options: &VerifyOptions, ailing: &[FileHealth]) -> Result<()> {
        if !self.plugins.has_handlers() {
            return Ok(());
        }
        let states: HashMap<_, _> = ailing.iter().map(|file| (&file.path, (file.state, file.recoverable))).collect();
        let tell = |entry: Entry| {
            if !entry.content.is_directory() {
                let (state, recoverable) = states.get(&entry.path).copied().unwrap_or((FileState::Healthy, true));
                let (path, size) = (entry.path.to_string(), entry.content.size());
                let level = options.level;
                self.plugins.after(
                    Hook::FileVerified,
                    || json!({"path": path, "size": size, "level": level, "state": state, "recoverable": recoverable}),
                );
            }
            Ok(())
        };
        match self.index.entry(&options.path)?.filter(|entry| !entry.content.is_directory()) {
            Some(entry) => tell(entry),
            None => self.walk(&options.path, tell),
        }
    }
}
