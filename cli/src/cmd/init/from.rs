//! `init --from`: a configuration for a pool that exists.

use rclonepool_core::config::{ConfigFile, RemoteKind};
use rclonepool_core::journal::record::{PoolRecord, RemoteRecord};
use rclonepool_core::pool::{Found, RemoteState};
use rclonepool_core::{Config, Error, ErrorKind, Pool, Result};
use serde_json::{Map, Value};

use super::fit_memory;
use super::made::{self, How};
use crate::context::{Context, open_options};
use crate::format;

/// Finds the pool of these remotes and writes a configuration for it, with every other member that answers
/// under the name the pool knows it by.
pub async fn run(labels: &[String], manifest_prefix: Option<&str>, context: &Context) -> Result<()> {
    let path = context.config_path()?;
    let default = Config::default();
    let prefix = manifest_prefix.unwrap_or(&default.manifest_prefix).to_owned();
    let config = Config { remotes: labels.to_vec(), manifest_prefix: prefix, ..default };
    config.validate()?;
    let config = context.localise(config)?;
    let found = find(&config, context).await?;
    let members = found.members.iter().filter(|m| m.state != RemoteState::Removed);
    let how = How::Found(found.pool.pool, members.clone().count());
    for label in config.remotes.iter().filter(|label| !found.here.contains_key(*label)) {
        context.ui.warn(&format!("{} does not carry the pool's marker: left out", format::printable(label)));
    }
    if path.exists() {
        check_same_pool(&path, &found)?;
        context.ui.say("This configuration is of the same pool, and was left as it is.")?;
        return made::tell(context, &context.config()?, &how, &path).await;
    }
    let mut file = ConfigFile::create(&path);
    write(&mut file, &config, &found);
    let written = context.localise(file.config()?)?;
    file.save()?;
    let here = |member: &RemoteRecord| found.here.values().any(|id| *id == member.remote);
    for member in members.filter(|member| !here(member)) {
        context.ui.warn(&format!(
            "the pool's remote {} ({}) was not found: when it is there again, put its name into \"remotes\" of {}",
            format::printable(&member.label),
            member.remote,
            format::printable(&path.display().to_string())
        ));
    }
    made::tell(context, &written, &how, &path).await
}

async fn find(config: &Config, context: &Context) -> Result<Found> {
    let look = async |labels: &[String]| context.stoppable(Pool::find(config, labels, &open_options())).await;
    let given = look(&config.remotes).await?;
    let here = |member: &RemoteRecord| given.here.values().any(|id| *id == member.remote);
    let missing = given.members.iter().filter(|m| m.state != RemoteState::Removed && !here(m));
    let more = missing.map(|m| m.label.clone()).filter(|l| RemoteKind::of(l).is_ok() && !config.remotes.contains(l));
    let mut labels = config.remotes.clone();
    labels.extend(more);
    if labels.len() == config.remotes.len() {
        return Ok(given);
    }
    // The names may lead elsewhere by now, or rclone may be missing: then what was given must do.
    match look(&labels).await {
        Ok(found) if found.pool.pool == given.pool.pool => Ok(found),
        Err(error) if error.kind() == ErrorKind::Cancelled => Err(error),
        Err(error) => {
            tracing::info!("the other members cannot be tried: {error}");
            Ok(given)
        }
        Ok(_) => Ok(given),
    }
}

/// A configuration that is there must be of this pool; then it is left alone.
fn check_same_pool(path: &std::path::Path, found: &Found) -> Result<()> {
    let taken = |why: String| {
        Error::new(ErrorKind::AlreadyExists, format!("the configuration {} {why}; nothing was changed", path.display()))
            .hint("name another file with --config, or move this one away")
    };
    match Config::load(path)?.pool_id {
        Some(pool) if pool == found.pool.pool => Ok(()),
        Some(other) => Err(taken(format!("is of another pool, {other}"))),
        None => Err(taken("is there already and names no pool".into())),
    }
}

fn write(file: &mut ConfigFile, config: &Config, found: &Found) {
    let PoolRecord { pool, redundancy, chunk_size, strategy, data_prefix, commit_quorum, trash_hours, .. } =
        &found.pool;
    // As given first, then as the pool knows the others.
    let mut labels: Vec<&String> = config.remotes.iter().filter(|label| found.here.contains_key(*label)).collect();
    labels.extend(found.here.keys().filter(|label| !config.remotes.contains(label)));
    file.set("remotes", labels.iter().map(|label| label.as_str()).collect::<Vec<_>>());
    file.set("pool_id", pool.to_string());
    file.set("chunk_size", *chunk_size);
    let default = Config::default();
    if *data_prefix != default.data_prefix {
        file.set("data_prefix", data_prefix.as_str());
    }
    if config.manifest_prefix != default.manifest_prefix {
        file.set("manifest_prefix", config.manifest_prefix.as_str());
    }
    file.set_redundancy(*redundancy);
    fit_memory(file, *chunk_size, *redundancy);
    if *strategy != default.balancing_strategy {
        file.set("balancing_strategy", serde_json::to_value(strategy).unwrap_or_default());
    }
    if *trash_hours != default.trash_retention_hours {
        file.set("trash_retention_hours", *trash_hours);
    }
    let member = |label: &String| found.members.iter().find(|m| Some(&m.remote) == found.here.get(label));
    let members: Vec<(&String, &RemoteRecord)> =
        labels.iter().filter_map(|label| Some((*label, member(label)?))).collect();
    let mut per_remote = |key: &str, value: &dyn Fn(&RemoteRecord) -> Option<Value>| {
        let pairs = members.iter().filter_map(|(label, member)| Some(((*label).clone(), value(member)?)));
        let map: Map<String, Value> = pairs.collect();
        if !map.is_empty() {
            file.set(key, map);
        }
    };
    per_remote("remote_weights", &|m| ((m.weight - 1.0).abs() > f64::EPSILON).then(|| m.weight.into()));
    per_remote("remote_priorities", &|m| (m.priority != 0).then(|| m.priority.into()));
    per_remote("remote_quotas", &|m| m.quota.map(Into::into));
    per_remote("failure_domains", &|m| m.domain.clone().map(Into::into));
    if let Some(quorum) = commit_quorum {
        file.set("commit_quorum", *quorum);
        // It may be more than the remotes that are left; the pool itself remembers it.
        if file.config().is_err() {
            file.remove("commit_quorum");
        }
    }
}
