// @ts-check
// The pool at a glance.
import { html, useEffect, useState } from "./vendor/preact.js";
import { call } from "./api.js";
import { bytes, count, duration, healthOf, latency, plural, redundancy, remoteName, speed } from "./format.js";
import { samples, transfers } from "./live.js";
import { capital, confirm, Icon, percent, Progress, say, sayFailure } from "./parts.js";
import { health, jobs, me, refreshSoon, stats, status } from "./pool.js";
import { useStore } from "./store.js";

/** An answer that takes longer, in milliseconds, makes a remote slow. */
const slow = 2000;

/** What a remote is up to. @param {any} remote @param {any} figures */
export function stateOf(remote, figures) {
  if (!remote.configured) return { word: "not configured", kind: "warn", why: "a member that this server's configuration does not name" };
  if (!remote.online) return { word: "offline", kind: "bad", why: remote.error || "it does not answer" };
  if (remote.state === "draining" || remote.state === "leaving") return { word: "draining", kind: "warn", why: "its data moves to the others" };
  if (remote.state === "joining") return { word: "joining", kind: "warn", why: "" };
  const limit = remote.quota ?? null;
  if (remote.free === 0 || (remote.total && remote.free !== null && remote.free / remote.total < 0.01) || (limit !== null && remote.used >= limit * 0.99)) {
    return { word: "full", kind: "warn", why: "nothing more fits: make room, or add a remote" };
  }
  const mean = figures?.latency?.mean_ms;
  if (mean > slow) return { word: "slow", kind: "warn", why: `it takes ${latency(mean)} to answer` };
  return { word: "online", kind: "good", why: "" };
}

/** The bar of one remote: what the pool holds, what others do, what is free. @param {{remote: any}} props */
function Capacity({ remote }) {
  const { used, quota, total, free } = remote;
  const whole = quota ?? total ?? 0;
  const others = quota === null && total !== null && free !== null ? Math.max(0, total - free - used) : 0;
  const left = quota !== null ? Math.max(0, quota - used) : free;
  const label = whole
    ? `${bytes(used)} of the pool${others ? `, ${bytes(others)} of others` : ""}, ${bytes(left)} free of ${bytes(whole)}`
    : `${bytes(used)} of the pool; the remote does not tell its size`;
  // A sliver can still be seen.
  const wide = (/** @type {number} */ n) => ({ width: `${n > 0 ? Math.max(0.8, percent(n, whole || n)) : 0}%` });
  return html`<div class="capacity" role="img" aria-label=${`${remoteName(remote.name)}: ${label}`}><i class="ours" style=${whole ? wide(used) : { width: "0%" }}></i><i class="others" style=${wide(others)}></i></div>
    <p class="figures"><span><b>${bytes(used)}</b> used</span>${others > 0 && html`<span>${bytes(others)} by others</span>`}<span>${!remote.online ? "cannot be reached" : left === null || left === undefined ? "free space not told" : `${bytes(left)} free`}</span></p>`;
}

/** @param {{remote: any, figures: any}} props */
function Remote({ remote, figures }) {
  const state = stateOf(remote, figures);
  const errors = Object.values(figures?.errors || {}).reduce((sum, n) => sum + n, 0);
  const ms = figures?.latency?.mean_ms ?? meanOf(figures);
  return html`<li class="remote card" data-remote=${remote.name} data-state=${state.word}>
    <div class="title"><h3 title=${remote.name}>${remoteName(remote.name)}</h3><span class=${`badge ${state.kind}`}>${state.word}</span></div>
    <${Capacity} remote=${remote} />
    <p class="quiet small">${remote.online && ms !== undefined ? html`answers in <span data-latency>${latency(ms)}</span> · ` : ""}${plural(remote.shards, "shard")}${errors > 0 ? ` · ${plural(errors, "error")} so far` : ""}</p>
    ${state.why && html`<p class="small why">${capital(state.why)}</p>`}</li>`;
}

/** The mean time of calls, where the remote has answered none of those that tell its latency. @param {any} figures */
function meanOf(figures) {
  let [ms, n] = [0, 0];
  for (const { counts, sum } of Object.values(figures?.timing || {})) {
    ms += sum * 1000;
    n += counts.reduce((/** @type {number} */ all, /** @type {number} */ one) => all + one, 0);
  }
  return n ? ms / n : undefined;
}

async function rebuild() {
  try {
    await call("POST", "rebuild", {});
    say("The rebuild is under way: Care shows how far it is.");
    refreshSoon();
  } catch (error) {
    sayFailure(error);
  }
}

/** What can be done about a remote that is offline. */
const aboutOffline = () => confirm("A remote is offline", html`<p>Nothing is lost by it: while it is away, what it holds is read from the others where there is redundancy.</p>
  <ul><li>Is the account, the disk or the network all right? As soon as the remote answers, the pool uses it again.</li>
  <li>Is it gone for good? On the server, <code>rclonepool remotes replace OLD NEW</code> puts another in its place, and <code>rclonepool remotes remove --lost NAME</code> goes on without; both rebuild what it held.</li></ul>`, "I see");

/** @param {{report: any, tolerated: number}} props */
function Health({ report, tolerated }) {
  const { state, word, sentence, action } = healthOf(report, tolerated);
  const who = useStore(me);
  const running = useStore(jobs).find((job) => job.state === "running" && job.kind === "rebuild");
  const worst = report.listed.slice(0, 3);
  return html`<section class=${`health card ${state}`} aria-labelledby="health"><${Icon} name=${state} /><div class="grow">
    <h2 id="health">${word}</h2><p data-health role="status">${sentence}</p>
    ${worst.length > 0 && state !== "good" && html`<p class="small">For example ${worst.map((/** @type {any} */ one, /** @type {number} */ at) => html`${at > 0 ? ", " : ""}<a href=${`#/file${one.path.split("/").map(encodeURIComponent).join("/")}`}>${one.path}</a>`)}</p>`}</div>
    ${running ? html`<div class="running"><${Progress} value=${running.progress.items} max=${running.progress.items_total || null} label="Rebuild" /><span class="small">Rebuilding…</span></div>`
      : action === "rebuild" && !who.read_only ? html`<button class="button primary" onClick=${rebuild}>Rebuild now</button>`
      : action === "offline" ? html`<button class="button" onClick=${aboutOffline}>What to do</button>`
      : action === "repair" ? html`<a class="button" href="#/care">To care</a>` : null}</section>`;
}

function Transfers() {
  const all = useStore(transfers);
  return html`<section class="card transfers" aria-labelledby="transfers"><h2 id="transfers">Transfers</h2>
    ${all.length === 0 ? html`<p class="quiet empty">Nothing is under way. What anybody sends or fetches through this server shows here.</p>` : html`<ul>${all.slice(0, 12).map((one) => {
      const left = one.total !== null && one.speed > 0 ? (one.total - one.bytes) / one.speed : NaN;
      const running = one.state === "running";
      const broken = one.state === "failed" && one.direction === "download";
      return html`<li key=${one.key} data-transfer=${one.path} class=${one.state}><${Icon} name=${one.direction} /><div class="grow"><p class="name" title=${one.path}>${one.path}</p>
        <${Progress} value=${one.bytes} max=${one.total} label=${`${one.direction} of ${one.path}`} />
        <p class="figures small quiet"><span>${bytes(one.bytes)}${one.total !== null ? ` of ${bytes(one.total)}` : ""}</span>${running ? html`<span data-speed>${speed(one.speed)}</span><span>${Number.isFinite(left) ? `${duration(left)} left` : "time left not known yet"}</span>` : html`<span>${one.state === "done" ? "done" : broken ? "stopped by the client" : `failed: ${one.error}`}</span>`}</p></div></li>`;
    })}</ul>`}</section>`;
}

/** The chart, which need not be there at the first look. */
function Throughput() {
  const [it, setIt] = useState(/** @type {any} */ (null));
  const series = useStore(samples);
  useEffect(() => {
    import("./chart.js").then(({ Chart }) => setIt({ Chart }), () => null);
  }, []);
  return it && html`<${it.Chart} samples=${series} />`;
}

export function Overview() {
  const pool = useStore(status);
  const figures = useStore(stats);
  const report = useStore(health);
  const who = useStore(me);
  if (!pool || !report || !figures) return html`<h1>Overview</h1><p class="loading">Asking the pool…</p>`;
  const saved = figures.compressed_bytes > 0 ? figures.compressed_bytes - figures.compressed_stored : 0;
  const sum = pool.remotes.reduce((/** @type {number} */ n, /** @type {any} */ r) => n + r.used, 0);
  const raw = pool.remotes.reduce((/** @type {number} */ n, /** @type {any} */ r) => n + (!r.online ? 0 : r.quota !== null ? Math.max(0, r.quota - r.used) : r.free || 0), 0);
  return html`<h1>Overview</h1>
    ${pool.lacks.length > 0 && !pool.complete_view && html`<div class="note" role="status"><${Icon} name="warn" /><p>The newest state may not be known: ${pool.lacks.join("; ")}.</p></div>`}
    <${Health} report=${report} tolerated=${pool.tolerated} />
    <dl class="tiles">
      <div class="card"><dt>Files</dt><dd data-files>${count(pool.files)}</dd><dd class="small quiet">${bytes(pool.bytes)} of data</dd></div>
      <div class="card"><dt>Stored</dt><dd>${bytes(pool.stored)}</dd><dd class="small quiet">with redundancy${saved > 0 ? `, ${bytes(saved)} saved by compression` : ""}</dd></div>
      <div class="card"><dt>Still fits</dt><dd>${pool.free === null ? "not told" : bytes(pool.free)}</dd><dd class="small quiet">of your data, after redundancy</dd></div>
      <div class="card"><dt>Redundancy</dt><dd>${pool.redundancy}</dd><dd class="small quiet">${redundancy(pool.redundancy)}</dd></div>
      ${who.quota && html`<div class="card"><dt>Your quota</dt><dd>${bytes(figures.quota?.bytes_used)}</dd><dd class="small quiet">of ${who.quota.bytes_max === null ? "no limit" : bytes(who.quota.bytes_max)}${who.quota.files_max !== null ? `, ${count(figures.quota?.files_used)} of ${count(who.quota.files_max)} files` : ""}</dd></div>`}
    </dl>
    <section aria-labelledby="remotes"><div class="heading"><h2 id="remotes">Remotes</h2><p class="legend small"><span><i class="ours"></i>the pool's</span><span><i class="others"></i>others'</span><span><i class="free"></i>free</span></p></div>
      <div class="whole" role="img" aria-label=${`All remotes together: ${bytes(sum)} used by the pool, ${bytes(raw)} free`}>${pool.remotes.map((/** @type {any} */ r, /** @type {number} */ at) => html`<i class=${`c${at % 8}`} style=${{ flexGrow: r.used }} title=${`${remoteName(r.name)}: ${bytes(r.used)}`}></i>`)}<i class="free" style=${{ flexGrow: raw }}></i></div>
      <ul class="remotes">${pool.remotes.map((/** @type {any} */ r) => html`<${Remote} key=${r.name} remote=${r} figures=${figures.remotes[r.name]} />`)}</ul></section>
    <div class="columns"><${Throughput} /><${Transfers} /></div>`;
}
