//! What must be there before a remote can be asked: the configuration, and rclone.

use std::path::Path;
use std::sync::Arc;

use rclonepool_core::config::{RemoteKind, redact_remote};
use rclonepool_core::pool::start_rclone;
use rclonepool_core::remote::rclone::Rclone;
use rclonepool_core::{Config, Error, ErrorKind, Result};

use super::Report;
use super::machine::can_write;
use crate::context::{Context, first_run, open_options};
use crate::format::count;

const CONFIG: &str = "config";
const RCLONE: &str = "rclone";
const MORE: &str = "`rclone -vv listremotes` says more";

/// The configuration, where there is one that can be used.
pub fn config(context: &Context, report: &mut Report) -> Option<Config> {
    let loaded = context.config_path().and_then(|path| {
        let config = Config::load(&path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => first_run(&path),
            _ => error,
        })?;
        Ok((context.localise(config)?, path))
    });
    let (config, path) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => {
            report.problem(CONFIG, &error, "`rclonepool config validate` says more");
            return None;
        }
    };
    let shown = path.display();
    let remotes = count(config.effective_remotes().len() as u64, "remote");
    report.ok(CONFIG, format!("{shown}: {remotes}, redundancy {}", config.redundancy()));
    for notice in config.notices() {
        report.warn(CONFIG, notice.message, "take the key out, or leave it for a later version");
    }
    let has_secrets = !config.webdav_users.is_empty() || !config.users.is_empty();
    if has_secrets && others_may_read(&path) {
        let message = format!("{shown}: other users of this machine may read the hashes of passwords in it");
        report.warn(CONFIG, message, &format!("chmod 600 {shown}"));
    }
    if !can_write(&path) {
        let message = format!("{shown}: cannot be written, so `remotes`, `user` and `plugins` cannot change it");
        report.warn(CONFIG, message, "run these commands as the user whom the file belongs to");
    }
    Some(config)
}

#[cfg(unix)]
fn others_may_read(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn others_may_read(_: &Path) -> bool {
    false
}

/// rclone, started, where it is needed and runs.
///
/// # Errors
/// `Cancelled`.
pub async fn rclone(context: &Context, config: Option<&Config>, report: &mut Report) -> Result<Option<Arc<Rclone>>> {
    let is_directory = |label: &String| matches!(RemoteKind::of(label), Ok(RemoteKind::Directory));
    if config.is_some_and(|config| config.effective_remotes().iter().all(is_directory)) {
        report.ok(RCLONE, "not needed: all remotes are directories");
        return Ok(None);
    }
    let default = Config::default();
    let started = context.stoppable(start_rclone(config.unwrap_or(&default), &open_options())).await;
    let rclone = match started {
        Ok(rclone) => rclone,
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => {
            report.problem(RCLONE, &error, MORE);
            return Ok(None);
        }
    };
    match context.stoppable(look(&rclone, config, report)).await {
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error),
        Err(error) => report.problem(RCLONE, &error, MORE),
        Ok(()) => {}
    }
    Ok(Some(rclone))
}

async fn look(rclone: &Rclone, config: Option<&Config>, report: &mut Report) -> Result<()> {
    let version = rclone.version().await?;
    match version.better() {
        None => report.ok(RCLONE, format!("version {version}")),
        Some(better) => {
            let message = format!("version {version} leaks memory where it runs for long");
            report.warn(RCLONE, message, &format!("install rclone {better} or later"));
        }
    }
    let (names, file) = (rclone.list_remotes().await?, rclone.config_file().await?);
    let shown = file.display();
    if file.exists() && !(can_write(&file) && file.parent().is_some_and(can_write)) {
        let message = format!("{shown}: cannot be written, so rclone cannot keep the logins it renews");
        report.warn(RCLONE, message, "make the file and its directory writable for this user");
    }
    match (config, names.len()) {
        (None, 0) => {
            let error = Error::new(ErrorKind::Config, format!("{shown} has no remotes yet"))
                .hint("`rclone config` asks for your accounts, once each; directories need no rclone at all");
            report.problem(RCLONE, &error, MORE);
        }
        (None, _) => {
            let names: Vec<String> = names.iter().map(|name| redact_remote(&format!("{name}:"))).collect();
            report.ok(RCLONE, format!("knows {}: a pool can be made of them", names.join(" ")));
        }
        (Some(_), n) => report.ok(RCLONE, format!("{shown}: {}", count(n as u64, "remote"))),
    }
    Ok(())
}
