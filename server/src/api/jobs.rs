//! Jobs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rclonepool_core::{ErrorKind, Monitor, Result as CoreResult};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::input::Links;
use crate::auth::Who;
use crate::hub::Topic;
use crate::jobs::{Job, JobInfo, JobState, Order};
use crate::problem::Problem;

/// Nobody waits longer for a job.
const WAIT_MAX: u64 = 600;

/// How long to wait for the end of a job.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Seconds, at most 600. A job that ends in time is answered with 200 and its result, else with 202.
    #[param(minimum = 0, maximum = 600)]
    pub wait: Option<u64>,
}

/// The jobs of a pool.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// The newest first.
    pub jobs: Vec<JobInfo>,
}

/// Starts a job of who asks, and answers 202, or waits for its end.
///
/// # Errors
/// 429 when too many are under way; what the job failed with, where it was waited for.
pub async fn run<F, Fut>(
    who: &Who,
    links: &Links,
    wait: &Wait,
    kind: &'static str,
    subject: Option<String>,
    topic: Option<Topic>,
    work: F,
) -> Result<Response, Problem>
where
    F: FnOnce(Monitor) -> Fut,
    Fut: Future<Output = CoreResult<Value>> + Send + 'static,
{
    let order = Order { kind, subject, user: who.principal.name.clone(), topic };
    // What a job changes is seen, and counted, when it has ended.
    let tenant = who.tenant.clone();
    let counted = |monitor| {
        let work = work(monitor);
        async move {
            let done = work.await;
            tenant.forget_glance().await;
            tenant.recount();
            done
        }
    };
    let job = who.tenant.jobs.start(order, counted).map_err(|error| match error.kind() {
        ErrorKind::RateLimited => Problem { retry_after: Some(5), ..too_many(&error) },
        _ => error.into(),
    })?;
    answer(&job, links, wait).await
}

fn too_many(error: &rclonepool_core::Error) -> Problem {
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_jobs", error.message()).hint("wait until one has ended")
}

async fn answer(job: &Arc<Job>, links: &Links, wait: &Wait) -> Result<Response, Problem> {
    if let Some(wait) = wait.wait.filter(|wait| *wait > 0) {
        job.ends_within(Duration::from_secs(wait.min(WAIT_MAX))).await;
    }
    let info = job.info();
    let status = match info.state {
        JobState::Running => StatusCode::ACCEPTED,
        JobState::Done => StatusCode::OK,
        JobState::Cancelled => {
            return Err(Problem::new(StatusCode::CONFLICT, "cancelled", "the job was cancelled"));
        }
        JobState::Failed => {
            return Err(info
                .error
                .unwrap_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the job failed")));
        }
    };
    let location = links.to(&format!("/jobs/{}", info.id));
    let is_done = status == StatusCode::OK;
    // Where it was not asked to wait, a job that has ended already is still answered as one.
    let status = if wait.wait.is_none() { StatusCode::ACCEPTED } else { status };
    let body = Json(info).into_response().into_body();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    if let Ok(location) = location.parse() {
        headers.insert(header::LOCATION, location);
    }
    if !is_done {
        headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
    }
    Ok(response)
}

fn find_in(who: &Who, id: &str) -> Result<Arc<Job>, Problem> {
    let nothing = || Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such job");
    who.tenant.jobs.find(id).ok_or_else(nothing)
}

/// Jobs under way and those that ended lately.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs",
    responses((status = 200, body = JobList), (status = 401, body = Problem)))]
pub async fn list(who: Who) -> Json<JobList> {
    Json(JobList { jobs: who.tenant.jobs.list() })
}

/// A job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "Its id")),
    responses((status = 200, body = JobInfo), (status = 401, body = Problem), (status = 404, body = Problem)))]
pub async fn find(who: Who, Path(id): Path<String>) -> Result<Json<JobInfo>, Problem> {
    Ok(Json(find_in(&who, &id)?.info()))
}

/// Cancels a job. What it has done by then stays done.
#[utoipa::path(delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path, description = "Its id")),
    responses((status = 202, body = JobInfo), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem)))]
pub async fn cancel(who: Who, Path(id): Path<String>) -> Result<Response, Problem> {
    let job = find_in(&who, &id)?;
    job.cancel();
    // It ends soon; then the answer says so.
    job.ends_within(Duration::from_secs(1)).await;
    Ok((StatusCode::ACCEPTED, Json(job.info())).into_response())
}
