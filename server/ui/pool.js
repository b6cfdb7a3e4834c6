// @ts-check
// What the page knows of the pool, kept up to date.
import { get } from "./api.js";
import { on, samples } from "./live.js";
import { store } from "./store.js";

/** @type {import("./store.js").Store<any>} */
export const me = store(null);
/** @type {import("./store.js").Store<any>} */
export const status = store(null);
/** @type {import("./store.js").Store<any>} */
export const stats = store(null);
/** @type {import("./store.js").Store<any>} */
export const health = store(null);
/** @type {import("./store.js").Store<any[]>} */
export const jobs = store([]);
/** @type {import("./store.js").Store<any>} */
export const failure = store(null);

let isAsking = false;
let isStale = false;
/** @type {any} */
let soon = 0;

/** Asks for all of it, anew. */
export async function refresh() {
  if (!me.get()) return;
  if (isAsking) {
    isStale = true;
    return;
  }
  isAsking = true;
  try {
    const [nextStatus, nextStats, nextHealth, nextJobs] = await Promise.all([get("status"), get("stats"), get("health?limit=20"), get("jobs")]);
    status.set(nextStatus);
    stats.set(nextStats);
    health.set(nextHealth);
    jobs.set(nextJobs.jobs);
    samples.set(nextStats.throughput);
    failure.set(null);
  } catch (error) {
    failure.set(error);
  } finally {
    isAsking = false;
  }
  if (isStale) {
    isStale = false;
    refreshSoon();
  }
}

/** The same, once for many reasons. */
export function refreshSoon() {
  if (soon) return;
  soon = setTimeout(() => {
    soon = 0;
    refresh();
  }, 400);
}

on("connected", refresh);
on("broken", refreshSoon);
on("health", refreshSoon);
for (const topic of ["upload_progress", "download_progress"]) {
  on(topic, (data) => data.state === "done" && topic === "upload_progress" && refreshSoon());
}
on("job", (data) => {
  const known = jobs.get().some((job) => job.id === data.job);
  if (!known || data.state !== "running") refreshSoon();
  if (known) {
    const { state, progress, result, error } = data;
    jobs.update((all) => all.map((job) => (job.id === data.job ? { ...job, state, progress, result, error } : job)));
  }
});

// Not all jobs are told on the WebSocket, nor is all that other machines do.
setInterval(() => {
  if (document.visibilityState === "hidden") return;
  const isBusy = jobs.get().some((job) => job.state === "running");
  ticks += 1;
  if (isBusy || failure.get() || ticks % 5 === 0) refresh();
}, 3000);
let ticks = 0;
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && refresh());

/**
 * Starts a job, and gives back what it came to; `watch` is told how far it is.
 * @param {any} job as the request that started it answered
 * @param {(job: any) => void} watch
 * @returns {Promise<any>}
 */
export function follow(job, watch) {
  return new Promise((resolve) => {
    const look = async () => {
      try {
        const now = await get(`jobs/${job.id}`);
        watch(now);
        if (now.state !== "running") end(now);
      } catch (error) {
        if (/** @type {any} */ (error).status === 404) end({ ...job, state: "failed", error: { detail: "the server was started anew meanwhile" } });
      }
    };
    const off = [
      on("job", (data) => {
        if (data.job !== job.id) return;
        watch({ ...job, ...data });
        // The whole of it, notices too.
        if (data.state !== "running") look();
      }),
      on("connected", look),
    ];
    const timer = setInterval(look, 2500);
    const end = (/** @type {any} */ now) => {
      clearInterval(timer);
      off.forEach((stop) => stop());
      refreshSoon();
      resolve(now);
    };
    watch(job);
    look();
  });
}
