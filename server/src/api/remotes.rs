//! The pool's remotes: who belongs to it.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use rclonepool_core::config::{ConfigFile, members};
use rclonepool_core::pool::{MemberChange, RemoteState};
use rclonepool_core::{Error, ErrorKind, Monitor, Result as CoreResult};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::care::value;
use super::input::{Input, Links, Params, invalid};
use super::jobs::{Wait, run};
use super::pool::RemoteInfo;
use crate::app::App;
use crate::auth::Who;
use crate::hub::Topic;
use crate::jobs::JobInfo;
use crate::problem::Problem;
use crate::server::refresh;

/// The remotes.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemoteList {
    /// Configured ones first, in the configuration's order.
    pub remotes: Vec<RemoteInfo>,
}

/// The pool's remotes.
#[utoipa::path(get, path = "/api/v1/remotes", tag = "remotes",
    responses((status = 200, body = RemoteList), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn list(who: Who) -> Result<Json<RemoteList>, Problem> {
    let glance = who.tenant.glance().await?;
    Ok(Json(RemoteList { remotes: glance.status.remotes.iter().map(RemoteInfo::of).collect() }))
}

/// The configuration file that names the remotes of who asks.
pub(super) fn file_of(app: &App, who: &Who) -> Result<PathBuf, Problem> {
    app.file_of(&who.tenant).filter(|_| app.files.is_some()).ok_or_else(|| {
        let message = "this server has no configuration file to name the remotes in";
        Problem::new(StatusCode::NOT_IMPLEMENTED, "no_configuration_file", message)
    })
}

/// A change of who belongs to the pool: one at a time, and the pool is opened anew after it.
async fn change<Fut>(app: Arc<App>, who: Who, file: PathBuf, work: Fut) -> CoreResult<Value>
where
    Fut: Future<Output = CoreResult<Value>>,
{
    let _one = app.change.lock().await;
    let done = work.await?;
    let Some(files) = &app.files else { return Ok(done) };
    refresh(&app, &who.tenant, (files.load)(&file)?).await?;
    Ok(done)
}

/// Remotes that are to join.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// rclone remotes of the server's rclone configuration. Directories are added by the command line.
    #[schema(example = json!(["mega4:"]))]
    pub remotes: Vec<String>,
    /// For each its crypt remote, where the configuration lists `crypt_remotes`.
    #[serde(default)]
    pub crypt: Vec<String>,
    /// No other machine writes to the pool: the change is finished at once.
    #[serde(default)]
    pub alone: bool,
}

/// Takes remotes into the pool, in a job.
#[utoipa::path(post, path = "/api/v1/remotes", tag = "remotes", request_body = Add, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem),
        (status = 415, body = Problem), (status = 501, body = Problem)))]
pub async fn add(
    State(app): State<Arc<App>>,
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Add>,
) -> Result<Response, Problem> {
    if asked.remotes.is_empty() {
        return Err(invalid("remotes names none"));
    }
    let is_local = |label: &String| {
        // A directory of the server's machine, or a remote made on the fly, which may be one.
        label.starts_with(['/', '~', ':', '.']) || !label.contains(':') || label.contains(',')
    };
    if asked.remotes.iter().chain(&asked.crypt).any(is_local) {
        let message = "only remotes that the server's rclone configuration names can be added here";
        return Err(Problem::new(StatusCode::FORBIDDEN, "local_path_not_allowed", message)
            .hint("`rclonepool remotes add` adds directories"));
    }
    let file = file_of(&app, &who)?;
    let config = who.tenant.config();
    let lists_crypt = config.use_crypt && !config.crypt_remotes.is_empty();
    if asked.crypt.len() != if lists_crypt { asked.remotes.len() } else { 0 } {
        return Err(invalid(
            "crypt names one for each of remotes where the configuration lists crypt_remotes, else none",
        ));
    }
    let work_who = who.clone();
    run(&who, &links, &wait, "remotes add", Some(asked.remotes.join(", ")), None, move |monitor| {
        let (app2, path, asked_by) = (app.clone(), file.clone(), work_who.clone());
        change(app, work_who, file, async move { added(&app2, &asked_by, &path, &asked, &monitor).await })
    })
    .await
}

async fn added(app: &App, who: &Who, path: &std::path::Path, asked: &Add, monitor: &Monitor) -> CoreResult<Value> {
    let Some(files) = &app.files else { return Err(Error::new(ErrorKind::Internal, "no configuration file")) };
    let pool = &who.principal.pool;
    let mut file = ConfigFile::load(path)?;
    let before = members::Before::of(file.keys_mut());
    let config = (files.load)(path)?;
    for (at, remote) in asked.remotes.iter().enumerate() {
        members::push(file.keys_mut(), &config, remote, asked.crypt.get(at).map(String::as_str));
    }
    // In the configuration first: a remote that joined must not be forgotten.
    file.save()?;
    let joined = async {
        let wider = (files.load)(path)?;
        let labels: Vec<String> = asked.remotes.iter().map(|remote| wider.effective_name(remote)).collect();
        pool.check_joining(&labels).await?;
        monitor.run(pool.add_remotes(&wider, &labels, &app.open, asked.alone)).await
    };
    match joined.await {
        Ok(change) => Ok(json!({ "remotes": asked.remotes, "change": value(&change) })),
        Err(error) => {
            before.restore(file.keys_mut());
            file.save()?;
            Err(error)
        }
    }
}

/// How to let a remote go.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Remove {
    /// It is lost for good: what lay on it counts as missing, and can be rebuilt.
    #[serde(default)]
    pub lost: bool,
    /// No other machine writes to the pool: the change is finished at once.
    #[serde(default)]
    pub alone: bool,
    /// Seconds to wait for the end of the job, at most 600.
    #[param(minimum = 0, maximum = 600)]
    pub wait: Option<u64>,
}

/// Lets an empty remote go, or one that is lost, in a job.
#[utoipa::path(delete, path = "/api/v1/remotes/{name}", tag = "remotes",
    params(("name" = String, Path, description = "Its name, percent-encoded"), Remove),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 501, body = Problem), (status = 503, body = Problem)))]
pub async fn remove(
    State(app): State<Arc<App>>,
    who: Who,
    links: Links,
    Path(name): Path<String>,
    Params(how): Params<Remove>,
) -> Result<Response, Problem> {
    let file = file_of(&app, &who)?;
    let wait = Wait { wait: how.wait };
    let work_who = who.clone();
    run(&who, &links, &wait, "remotes remove", Some(name.clone()), None, move |monitor| {
        let (app2, path, asked_by) = (app.clone(), file.clone(), work_who.clone());
        change(app, work_who, file, async move {
            let (pool, config) = (asked_by.principal.pool.clone(), asked_by.tenant.config());
            let label = config.effective_name(&name);
            let (result, is_gone) = if how.lost {
                (value(monitor.run(pool.remove_lost(&[label])).await?), true)
            } else {
                let change = monitor.run(pool.remove_remote(&label, how.alone)).await?;
                (value(&change), change.state == RemoteState::Removed)
            };
            if is_gone {
                forgotten(&app2, &path, &name)?;
            }
            Ok(result)
        })
    })
    .await
}

fn forgotten(app: &App, path: &std::path::Path, name: &str) -> CoreResult<()> {
    let Some(files) = &app.files else { return Ok(()) };
    let (mut file, config) = (ConfigFile::load(path)?, (files.load)(path)?);
    members::forget(file.keys_mut(), &config, &[name.to_owned()]);
    file.save()
}

/// How to drain a remote.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Drain {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// Also when chunks survive fewer losses afterwards.
    #[serde(default)]
    pub force: bool,
    /// No other machine writes to the pool: the change is finished at once.
    #[serde(default)]
    pub alone: bool,
}

/// Moves everything from a remote to the others, and lets it go, in a job.
#[utoipa::path(post, path = "/api/v1/remotes/{name}/drain", tag = "remotes", request_body = Drain,
    params(("name" = String, Path, description = "Its name, percent-encoded"), Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 415, body = Problem), (status = 501, body = Problem), (status = 503, body = Problem),
        (status = 507, body = Problem)))]
pub async fn drain(
    State(app): State<Arc<App>>,
    who: Who,
    links: Links,
    Path(name): Path<String>,
    Params(wait): Params<Wait>,
    Input(asked): Input<Drain>,
) -> Result<Response, Problem> {
    let config = who.tenant.config();
    let label = config.effective_name(&name);
    let pool = who.principal.pool.clone();
    if asked.dry_run {
        return run(&who, &links, &wait, "drain", Some(name), None, move |_| async move {
            Ok(json!({ "plan": value(pool.plan_drain(&label).await?) }))
        })
        .await;
    }
    let file = file_of(&app, &who)?;
    let work_who = who.clone();
    run(&who, &links, &wait, "drain", Some(name.clone()), Some(Topic::Rebalance), move |monitor| {
        let (app2, path) = (app.clone(), file.clone());
        change(app, work_who, file, async move {
            let report = pool.drain(&label, asked.alone, asked.force, &monitor).await?;
            let is_gone = |change: &MemberChange| change.state == RemoteState::Removed;
            if report.change.as_ref().is_some_and(is_gone) {
                forgotten(&app2, &path, &name)?;
            }
            Ok(value(&report))
        })
    })
    .await
}
