//! Converting files, or the whole pool, to another redundancy.

use std::path::Path;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use rclonepool_core::config::ConfigFile;
use rclonepool_core::pool::care::ConvertPlan;
use rclonepool_core::redundancy::Redundancy;
use rclonepool_core::{Error, ErrorKind, Pool, PoolPath, Result as CoreResult};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::care::value;
use super::input::{Input, Links, Params, invalid};
use super::jobs::{Wait, run};
use super::namespace::optional_path;
use super::remotes::file_of;
use crate::app::App;
use crate::auth::Who;
use crate::hub::Topic;
use crate::jobs::JobInfo;
use crate::problem::Problem;
use crate::server::refresh;

/// What to convert, to what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Convert {
    /// A file, or a directory with all below it; left out: the whole pool, new files too.
    pub path: Option<String>,
    /// The redundancy: `none`, `replication:3`, `parity:4+2` or `hybrid:2+1x2`.
    #[schema(example = "parity:4+2")]
    pub redundancy: String,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Codes files anew in another redundancy, while they stay readable. Without a path it is written into the
/// configuration, too.
#[utoipa::path(post, path = "/api/v1/convert", tag = "care", request_body = Convert, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 415, body = Problem), (status = 501, body = Problem)))]
pub async fn convert(
    State(app): State<Arc<App>>,
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Convert>,
) -> Result<Response, Problem> {
    let path = optional_path(asked.path.as_deref())?;
    let redundancy: Redundancy = asked.redundancy.parse().map_err(|e: Error| invalid(e.message()))?;
    let file = if path.is_none() && !asked.dry_run { Some(file_of(&app, &who)?) } else { None };
    let tenant = who.tenant.clone();
    run(&who, &links, &wait, "convert", asked.path, Some(Topic::Verification), move |monitor| async move {
        let root = path.unwrap_or_else(PoolPath::root);
        if asked.dry_run {
            return Ok(json!({ "plan": value(plan(&tenant.pool(), root, redundancy).await?) }));
        }
        let mut stale = false;
        if let Some(file) = file {
            let _one = app.change.lock().await;
            adopt(&app, &tenant, &file, redundancy).await?;
            stale = tenant.pool().write_settings().await?;
        }
        let pool = tenant.pool();
        let plan = plan(&pool, root, redundancy).await?;
        let mut report = pool.convert(&plan, &monitor).await?;
        report.stale |= stale;
        let mut report = value(report);
        report["redundancy"] = redundancy.to_string().into();
        Ok(report)
    })
    .await
}

async fn plan(pool: &Arc<Pool>, path: PoolPath, redundancy: Redundancy) -> CoreResult<ConvertPlan> {
    let pool = pool.clone();
    let planned = tokio::task::spawn_blocking(move || pool.plan_convert(&path, redundancy)).await;
    planned.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?
}

/// Writes a redundancy into the configuration, and serves the pool by it; else all stays as it was.
async fn adopt(app: &App, tenant: &Arc<crate::tenant::Tenant>, path: &Path, redundancy: Redundancy) -> CoreResult<()> {
    const KEYS: [&str; 4] = ["redundancy_mode", "replication_factor", "parity_data_shards", "parity_parity_shards"];
    let Some(files) = &app.files else { return Err(Error::new(ErrorKind::Internal, "no configuration file")) };
    let mut file = ConfigFile::load(path)?;
    let before: Vec<(&str, Option<Value>)> = KEYS.iter().map(|key| (*key, file.get(key).cloned())).collect();
    file.set_redundancy(redundancy);
    file.save()?;
    let served = async { refresh(app, tenant, (files.load)(path)?).await };
    let Err(error) = served.await else { return Ok(()) };
    for (key, value) in before {
        match value {
            Some(value) => file.set(key, value),
            None => drop(file.remove(key)),
        }
    }
    file.save()?;
    Err(error)
}
