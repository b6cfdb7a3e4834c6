//! Care: long operations, each a job.

use std::time::Duration;

use axum::response::Response;
use rclonepool_core::pool::care::{GcOptions, RebuildOptions, VerifyLevel, VerifyOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::input::{Input, Links, Params, invalid, pool_path};
use super::jobs::{Wait, run};
use super::namespace::{local_path, optional_path};
use crate::auth::Who;
use crate::hub::Topic;
use crate::jobs::JobInfo;
use crate::problem::Problem;

/// A report as the result of a job.
pub fn value(report: impl Serialize) -> Value {
    serde_json::to_value(report).unwrap_or_default()
}

/// How closely to verify.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// That everything exists.
    Quick,
    /// Sizes, too.
    #[default]
    Default,
    /// Every byte is read.
    Deep,
}

/// What to verify.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// A file, or a directory with all below it; left out: all.
    #[schema(example = "/backups/file.mkv")]
    pub file_path: Option<String>,
    /// How closely.
    #[serde(default)]
    pub level: Level,
    /// With `deep`: read only so many percent of the chunks, those not read for longest.
    #[schema(minimum = 0.0, maximum = 100.0)]
    pub sample: Option<f64>,
}

/// Holds what the remotes hold against what they should.
#[utoipa::path(post, path = "/api/v1/verify", tag = "care", request_body = Verify, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 404, body = Problem), (status = 415, body = Problem)))]
pub async fn verify(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Verify>,
) -> Result<Response, Problem> {
    let path = optional_path(asked.file_path.as_deref())?;
    if asked.sample.is_some_and(|sample| !(sample > 0.0 && sample <= 100.0)) {
        return Err(invalid("sample is above 0 and at most 100 percent"));
    }
    let level = match asked.level {
        Level::Quick => VerifyLevel::Quick,
        Level::Default => VerifyLevel::Default,
        Level::Deep => VerifyLevel::Deep,
    };
    let defaults = VerifyOptions::default();
    let options =
        VerifyOptions { path: path.unwrap_or(defaults.path.clone()), level, sample: asked.sample, ..defaults };
    let pool = who.principal.pool.clone();
    run(&who, &links, &wait, "verify", asked.file_path, Some(Topic::Verification), move |monitor| async move {
        Ok(value(pool.verify(&options, &monitor).await?))
    })
    .await
}

/// What to repair, from what.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Repair {
    /// The file in the pool.
    #[schema(example = "/backups/file.mkv")]
    pub file_path: String,
    /// A copy of it on the server's machine, below a directory of `api_local_roots`.
    #[schema(example = "/srv/import/source.mkv")]
    pub local_source: String,
    /// Only look.
    #[serde(default)]
    pub dry_run: bool,
}

/// Puts missing and damaged shards of a file anew from a copy of it.
#[utoipa::path(post, path = "/api/v1/repair", tag = "care", request_body = Repair, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem, description = "code local_path_not_allowed"),
        (status = 404, body = Problem), (status = 415, body = Problem)))]
pub async fn repair(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Repair>,
) -> Result<Response, Problem> {
    let path = pool_path(&asked.file_path)?;
    let source = local_path(&who.tenant.config(), &asked.local_source)?;
    let pool = who.principal.pool.clone();
    let subject = Some(asked.file_path);
    run(&who, &links, &wait, "repair", subject, Some(Topic::Verification), move |monitor| async move {
        Ok(value(pool.repair(&path, &source, asked.dry_run, &monitor).await?))
    })
    .await
}

/// What to rebuild.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// A file, or a directory with all below it; left out: all.
    pub path: Option<String>,
    /// List the remotes first, instead of going by what is known to be damaged.
    #[serde(default)]
    pub all: bool,
    /// Count as lost what is absent from remotes that miss suspiciously much.
    #[serde(default)]
    pub accept_loss: bool,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// Puts missing and damaged shards anew from the others.
#[utoipa::path(post, path = "/api/v1/rebuild", tag = "care", request_body = Rebuild, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem),
        (status = 415, body = Problem)))]
pub async fn rebuild(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Rebuild>,
) -> Result<Response, Problem> {
    let path = optional_path(asked.path.as_deref())?;
    let options = RebuildOptions { path, all: asked.all, accept_loss: asked.accept_loss };
    let pool = who.principal.pool.clone();
    run(&who, &links, &wait, "rebuild", asked.path, Some(Topic::Verification), move |monitor| async move {
        let plan = pool.plan_rebuild(&options, &monitor).await?;
        if asked.dry_run {
            return Ok(json!({ "plan": value(&plan) }));
        }
        Ok(value(pool.rebuild(&plan, &monitor).await?))
    })
    .await
}

/// How to rebalance.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebalance {
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// By how many percentage points fills may differ afterwards; left out: half of `rebalance_threshold`.
    #[schema(minimum = 0.0, maximum = 100.0)]
    pub target_variance: Option<f64>,
}

/// Moves shards until the remotes are equally full.
#[utoipa::path(post, path = "/api/v1/rebalance", tag = "care", request_body = Rebalance, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 415, body = Problem)))]
pub async fn rebalance(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Rebalance>,
) -> Result<Response, Problem> {
    let target = asked.target_variance.unwrap_or_else(|| who.tenant.config().rebalance_threshold / 2.0);
    if !(0.0..=100.0).contains(&target) {
        return Err(invalid("target_variance is from 0 to 100 percentage points"));
    }
    let pool = who.principal.pool.clone();
    run(&who, &links, &wait, "rebalance", None, Some(Topic::Rebalance), move |monitor| async move {
        let plan = pool.plan_rebalance(target).await?;
        if asked.dry_run {
            return Ok(json!({ "plan": value(&plan) }));
        }
        Ok(value(pool.rebalance(&plan, &monitor).await?))
    })
    .await
}

/// What to look for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Unneeded {
    /// How many seconds an object that no record names is left alone; left out: a day.
    pub min_age_seconds: Option<u64>,
    /// Go on although a remote looks as if it had lost its data.
    #[serde(default)]
    pub accept_loss: bool,
}

impl Unneeded {
    fn options(&self) -> GcOptions {
        GcOptions { min_age: self.min_age_seconds.map(Duration::from_secs), accept_loss: self.accept_loss }
    }
}

/// Lists what nobody needs, and how far it is on its way out.
#[utoipa::path(post, path = "/api/v1/orphans", tag = "care", request_body = Unneeded, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 415, body = Problem)))]
pub async fn orphans(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Unneeded>,
) -> Result<Response, Problem> {
    let pool = who.principal.pool.clone();
    run(&who, &links, &wait, "orphans", None, None, move |monitor| async move {
        Ok(value(pool.orphans(&asked.options(), &monitor).await?))
    })
    .await
}

/// Frees what nobody needs.
#[utoipa::path(post, path = "/api/v1/gc", tag = "care", request_body = Unneeded, params(Wait),
    responses((status = 200, body = JobInfo), (status = 202, body = JobInfo), (status = 400, body = Problem),
        (status = 401, body = Problem), (status = 403, body = Problem), (status = 415, body = Problem)))]
pub async fn gc(
    who: Who,
    links: Links,
    Params(wait): Params<Wait>,
    Input(asked): Input<Unneeded>,
) -> Result<Response, Problem> {
    let pool = who.principal.pool.clone();
    run(&who, &links, &wait, "gc", None, None, move |monitor| async move {
        Ok(value(pool.gc(&asked.options(), &monitor).await?))
    })
    .await
}
