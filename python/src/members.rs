//! Changes of who belongs to the pool, with the configuration that names them.

use std::path::PathBuf;
use std::sync::Arc;

use rclonepool_core::config::{ConfigFile, members};
use rclonepool_core::pool::RemoteState;
use rclonepool_core::{Config, Monitor, Pool, Result};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::call::json_of;
use crate::error::invalid;
use crate::pool::{localised, open_options};
use crate::task::Value;

/// A change, and where the remotes are named: in the text the pool was opened by and, where that came from a file,
/// there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Membership {
    config: String,
    file: Option<PathBuf>,
    change: Change,
}

/// What is to change.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Change {
    Add { remotes: Vec<String>, crypt: Vec<String>, alone: bool },
    Drain { remote: String, alone: bool, dry_run: bool },
    Remove { remote: String, alone: bool },
    Lose { remotes: Vec<String>, dry_run: bool },
    Replace { old: String, new: String, crypt: Option<String>, alone: bool, dry_run: bool },
}

impl Membership {
    /// Makes it; gives `{"report": …, "config": …}`: the text that names the remotes now, if it is another one.
    ///
    /// Only what plans is raced with the wish to stop: a change is made whole, and its file with it.
    pub async fn run(self, pool: &Arc<Pool>, monitor: &Monitor) -> Result<Value> {
        let mut named = Named::new(&self.config, self.file)?;
        let before = named.config()?;
        let report = match self.change {
            Change::Add { remotes, crypt, alone } => {
                return add(pool, monitor, named, &remotes, &crypt, alone).await;
            }
            Change::Drain { remote, dry_run: true, .. } => {
                json_of(&monitor.run(pool.plan_drain(&before.effective_name(&remote))).await?)?
            }
            Change::Drain { remote, alone, .. } => {
                let report = pool.drain(&before.effective_name(&remote), alone, true, monitor).await?;
                if report.change.as_ref().is_some_and(|change| change.state == RemoteState::Removed) {
                    named.forget(&[remote])?;
                }
                json_of(&report)?
            }
            Change::Remove { remote, alone } => {
                let change = pool.remove_remote(&before.effective_name(&remote), alone).await?;
                if change.state == RemoteState::Removed {
                    named.forget(&[remote])?;
                }
                json_of(&change)?
            }
            Change::Lose { remotes, dry_run } => {
                let labels: Vec<String> = remotes.iter().map(|remote| before.effective_name(remote)).collect();
                if dry_run {
                    json_of(&monitor.run(pool.plan_loss(&labels)).await?)?
                } else {
                    let report = pool.remove_lost(&labels).await?;
                    named.forget(&remotes)?;
                    json_of(&report)?
                }
            }
            Change::Replace { old, dry_run: true, .. } => {
                json_of(&monitor.run(pool.plan_loss(&[before.effective_name(&old)])).await?)?
            }
            Change::Replace { old, new, crypt, alone, .. } => {
                if crypt.is_some() != (lists_crypt(&before) && old != new) {
                    return Err(invalid("crypt goes with a new name where crypt_remotes are listed"));
                }
                let label = before.effective_name(&old);
                named.edit(|keys, config| members::replace(keys, config, &old, &new, crypt.as_deref()))?;
                let after = named.config()?;
                // In the configuration first: a remote that joined must not be forgotten.
                named.save()?;
                let replaced =
                    pool.replace_lost(&label, &after, &after.effective_name(&new), &open_options(), alone).await;
                match replaced {
                    Ok(report) => json_of(&report)?,
                    Err(error) => return Err(named.undo(error)),
                }
            }
        };
        named.answer(&report)
    }
}

fn lists_crypt(config: &Config) -> bool {
    config.use_crypt && !config.crypt_remotes.is_empty()
}

async fn add(
    pool: &Arc<Pool>,
    monitor: &Monitor,
    mut named: Named,
    remotes: &[String],
    crypt: &[String],
    alone: bool,
) -> Result<Value> {
    let before = named.config()?;
    if crypt.len() != if lists_crypt(&before) { remotes.len() } else { 0 } {
        return Err(invalid("crypt names one for each remote where the configuration lists crypt_remotes, else none"));
    }
    let known = remotes.iter().filter(|remote| before.index_of(remote).is_some());
    let known: Vec<String> = known.map(|remote| before.effective_name(remote)).collect();
    if !known.is_empty() {
        monitor.run(pool.check_joining(&known)).await?;
    }
    named.edit(|keys, config| {
        for (at, remote) in remotes.iter().enumerate() {
            members::push(keys, config, remote, crypt.get(at).map(String::as_str));
        }
    })?;
    let wider = named.config()?;
    let labels: Vec<String> = remotes.iter().map(|remote| wider.effective_name(remote)).collect();
    // What stands in the configuration already was open with this pool, and is to join another look at it.
    let narrow = match known.is_empty() {
        true => None,
        false => Some(monitor.run(Pool::open(&wider.without(remotes), &open_options())).await?),
    };
    // In the configuration first: a remote that joined must not be forgotten.
    named.save()?;
    let added = narrow.as_ref().unwrap_or(pool).add_remotes(&wider, &labels, &open_options(), alone).await;
    if let Some(narrow) = narrow {
        narrow.close().await;
    }
    match added {
        Ok(change) => named.answer(&json_of(&change)?),
        Err(error) => Err(named.undo(error)),
    }
}

/// Where remotes are named.
struct Named {
    keys: Map<String, Json>,
    given: Map<String, Json>,
    file: Option<(ConfigFile, members::Before)>,
}

impl Named {
    fn new(text: &str, file: Option<PathBuf>) -> Result<Self> {
        let keys: Map<String, Json> =
            serde_json::from_str(text).map_err(|e| invalid(format!("the configuration is no object: {e}")))?;
        let file = file.map(|path| {
            let mut file = ConfigFile::load(&path)?;
            let before = members::Before::of(file.keys_mut());
            Ok::<_, rclonepool_core::Error>((file, before))
        });
        Ok(Self { given: keys.clone(), keys, file: file.transpose()? })
    }

    fn config(&self) -> Result<Config> {
        localised(Config::parse(&Json::from(self.keys.clone()).to_string())?)
    }

    fn edit(&mut self, change: impl Fn(&mut Map<String, Json>, &Config)) -> Result<()> {
        let config = self.config()?;
        change(&mut self.keys, &config);
        if let Some((file, _)) = &mut self.file {
            // Others may have changed it since.
            let config = localised(file.config()?)?;
            change(file.keys_mut(), &config);
        }
        Ok(())
    }

    fn forget(&mut self, remotes: &[String]) -> Result<()> {
        self.edit(|keys, config| members::forget(keys, config, remotes))?;
        self.save()
    }

    fn save(&mut self) -> Result<()> {
        self.file.as_mut().map_or(Ok(()), |(file, _)| file.save())
    }

    /// Names the remotes as before, as the change failed.
    fn undo(self, error: rclonepool_core::Error) -> rclonepool_core::Error {
        let Some((mut file, before)) = self.file else { return error };
        before.restore(file.keys_mut());
        if let Err(unsaved) = file.save() {
            tracing::warn!("the configuration could not be put back: {unsaved}");
        }
        error
    }

    fn answer(self, report: &Json) -> Result<Value> {
        let text = (self.keys != self.given).then(|| Json::from(self.keys).to_string());
        Value::json(&json!({ "report": report, "config": text }))
    }
}
