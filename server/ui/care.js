// @ts-check
// Care: looking after the pool, and what is and was under way.
import { html, useState } from "./vendor/preact.js";
import { post } from "./api.js";
import { bytes, count, duration, exactly, plural, remoteName, when } from "./format.js";
import { JobLine, outcome, Working } from "./job.js";
import { capital, confirm, Failure, Icon, percent } from "./parts.js";
import { jobs, me, stats, status } from "./pool.js";
import { useStore } from "./store.js";

/** Something that can be started: it keeps the job that was, and what starting failed with. */
function useJob() {
  const [job, setJob] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const begin = async (/** @type {string} */ to, /** @type {any} */ body) => {
    setError(null);
    try {
      setJob(await post(to, body));
    } catch (problem) {
      setError(problem);
    }
  };
  const view = html`<${Failure} error=${error} />${job && html`<${Working} key=${job.id} job=${job} ended=${setJob} />`}`;
  return { job, begin, view, running: job?.state === "running", clear: () => setJob(null) };
}

const levels = [["quick", "Quick", "that everything is there"], ["default", "Normal", "sizes, too"], ["deep", "Deep", "every byte is read"]];

function Verify() {
  const { begin, view, running } = useJob();
  const [level, setLevel] = useState("default");
  return html`<section class="card" aria-labelledby="verify"><h2 id="verify">Verify</h2><p class="quiet">Holds what the remotes have against what they should have.</p>
    <fieldset><legend class="hidden">How closely</legend>${levels.map(([key, name, what]) => html`<label class="choice"><input type="radio" name="level" value=${key} checked=${level === key} onChange=${() => setLevel(key)} /><span><b>${name}</b> <span class="quiet">${what}</span></span></label>`)}</fieldset>
    <p class="buttons"><button class="button primary" disabled=${running} onClick=${() => begin("verify", { level })}>Verify</button></p>${view}</section>`;
}

function Rebuild() {
  const { begin, view, running } = useJob();
  const [all, setAll] = useState(true);
  return html`<section class="card" aria-labelledby="rebuild"><h2 id="rebuild">Rebuild</h2><p class="quiet">Puts missing and damaged shards anew, from the others.</p>
    <label class="choice"><input type="checkbox" checked=${all} onChange=${() => setAll(!all)} /><span>Look at all remotes first <span class="quiet">instead of going by what is known</span></span></label>
    <p class="buttons"><button class="button primary" disabled=${running} onClick=${() => begin("rebuild", { all })}>Rebuild</button></p>${view}</section>`;
}

/** @param {{flows: any[]}} props */
const Flows = ({ flows }) => html`<table class="flows"><thead><tr><th scope="col">From</th><th scope="col">To</th><th scope="col">Shards</th><th scope="col">Size</th></tr></thead><tbody>
  ${flows.map((one) => html`<tr><td>${remoteName(one.from)}</td><td>${remoteName(one.to)}</td><td>${count(one.shards)}</td><td>${bytes(one.bytes)}</td></tr>`)}</tbody></table>`;

function Rebalance() {
  const plan = useJob();
  const work = useJob();
  const pool = useStore(status);
  const it = plan.job?.result?.plan;
  const most = it ? Math.max(1, ...Object.values(it.used_after), ...(pool?.remotes.map((/** @type {any} */ r) => r.used) || [])) : 1;
  return html`<section class="card" aria-labelledby="rebalance"><h2 id="rebalance">Rebalance</h2><p class="quiet">Moves shards until the remotes are equally full. The plan comes first; nothing moves before you agree.</p>
    <p class="buttons"><button class=${`button ${it?.shards ? "" : "primary"}`} disabled=${plan.running || work.running} onClick=${() => { work.clear(); plan.begin("rebalance", { dry_run: true }); }}>Show the plan</button>
    ${it?.shards > 0 && !work.job && html`<button class="button primary" onClick=${() => work.begin("rebalance", {})}>Move ${bytes(it.bytes)} now</button>`}</p>
    ${!work.job && plan.view}
    ${it && !work.job && html`<div class="plan" data-plan="rebalance"><p>The fills differ by <b>${it.variance.toFixed(1)}</b> points now, and by <b>${it.variance_after.toFixed(1)}</b> afterwards.${it.left_out.length ? ` Left out: ${it.left_out.join(", ")}.` : ""}</p>
      <ul class="after">${Object.entries(it.used_after).map(([name, after]) => {
        const before = pool?.remotes.find((/** @type {any} */ r) => r.name === name)?.used ?? 0;
        return html`<li><span>${remoteName(name)}</span><span class="capacity" role="img" aria-label=${`${bytes(before)} now, ${bytes(/** @type {number} */ (after))} afterwards`}><i class="ours" style=${{ width: `${percent(/** @type {number} */ (after), most)}%` }}></i><i class="mark" style=${{ left: `${percent(before, most)}%` }}></i></span><span class="small">${bytes(before)} → ${bytes(/** @type {number} */ (after))}</span></li>`;
      })}</ul>${it.flows.length > 0 && html`<${Flows} flows=${it.flows} />`}</div>`}
    ${work.view}</section>`;
}

function Unneeded() {
  const look = useJob();
  const free = useJob();
  const who = useStore(me);
  const it = look.job?.result;
  const some = it && (it.orphans.length > 0 || it.leftovers.length > 0);
  return html`<section class="card" aria-labelledby="orphans"><h2 id="orphans">Orphans</h2><p class="quiet">What broken uploads and deleted files left, and nobody needs.</p>
    <p class="buttons"><button class="button primary" disabled=${look.running || free.running} onClick=${() => { free.clear(); look.begin("orphans", {}); }}>Look for them</button>
    ${!who.read_only && html`<button class="button" disabled=${look.running || free.running} onClick=${() => free.begin("gc", {})}>Free space</button>`}</p>
    ${!free.job && look.view}
    ${some && !free.job && html`<table class="flows"><thead><tr><th scope="col">Remote</th><th scope="col">Objects</th><th scope="col">Size</th></tr></thead><tbody>${it.remotes.map((/** @type {any} */ one) => html`<tr><td>${remoteName(one.name)}</td><td>${count(one.objects)}</td><td>${bytes(one.bytes)}</td></tr>`)}</tbody></table>
    <p class="small quiet">“Free space” deletes what has waited long enough for other machines to notice, and marks the rest.</p>`}
    ${free.view}</section>`;
}

function Drain() {
  const pool = useStore(status);
  const plan = useJob();
  const work = useJob();
  const [name, setName] = useState("");
  const remotes = pool?.remotes.filter((/** @type {any} */ one) => one.configured && one.state !== "removed") || [];
  const it = plan.job?.state === "done" ? plan.job.result?.plan : null;
  const to = `remotes/${encodeURIComponent(name)}/drain`;
  const drain = async () => {
    const text = html`<p>${plural(it.shards, "shard")} (${bytes(it.bytes)}) move from <b>${remoteName(name)}</b> to the others; then it leaves the pool. Its account, and what else lies there, stays untouched.</p>
      ${it.sinking > 0 && html`<p class="wrong">${plural(it.sinking, "chunk")} survive fewer losses afterwards.</p>`}`;
    if (await confirm(`Drain ${remoteName(name)}?`, text, "Drain", { danger: true })) work.begin(to, { force: it.sinking > 0 });
  };
  return html`<section class="card" aria-labelledby="drain"><h2 id="drain">Drain a remote</h2><p class="quiet">Moves everything from it to the others, so that it can leave.</p>
    <p class="buttons"><label class="inline"><span class="hidden">Remote</span><select value=${name} aria-label="Remote to drain" onChange=${(/** @type {any} */ event) => { setName(event.target.value); plan.clear(); work.clear(); }}>
      <option value="">Choose a remote…</option>${remotes.map((/** @type {any} */ one) => html`<option value=${one.name}>${remoteName(one.name)}</option>`)}</select></label>
      <button class=${`button ${it ? "" : "primary"}`} disabled=${!name || plan.running || work.running} onClick=${() => { work.clear(); plan.begin(to, { dry_run: true }); }}>Show the plan</button>
      ${it && !work.job && html`<button class="button danger" disabled=${it.stuck > 0} onClick=${drain}>Drain now</button>`}</p>
    ${!work.job && plan.view}
    ${it && !work.job && html`<div data-plan="drain">${it.stuck > 0 && html`<div class="note"><${Icon} name="warn" /><p>${bytes(it.stuck)} find no room on the others: add a remote or make room first.</p></div>`}
      ${it.sinking > 0 && html`<div class="note"><${Icon} name="warn" /><p>${plural(it.sinking, "chunk")} survive fewer losses afterwards: there are too few other remotes.</p></div>`}
      ${it.garbage > 0 && html`<p class="small">${plural(it.garbage, "shard")} of deleted files wait there: it cannot leave before they are freed.</p>`}
      ${it.flows.length > 0 && html`<${Flows} flows=${it.flows} />`}</div>`}
    ${work.view}</section>`;
}

const words = { running: "under way", done: "done", failed: "failed", cancelled: "cancelled" };
const kinds = { running: "warn", done: "good", failed: "bad", cancelled: "quiet" };

function Jobs() {
  const all = useStore(jobs);
  const [open, setOpen] = useState("");
  const now = all.filter((one) => one.state === "running");
  const past = all.filter((one) => one.state !== "running");
  return html`<section class="card" aria-labelledby="jobs"><h2 id="jobs">Jobs</h2>
    ${all.length === 0 && html`<p class="quiet empty">None since the server started. What you start above shows here, and what others start, too.</p>`}
    ${now.length > 0 && html`<ul class="jobs">${now.map((one) => html`<li key=${one.id} data-job=${one.kind}><p><b>${capital(one.kind)}</b> ${one.subject || ""} <span class="quiet small">since ${when(one.started)}${one.user ? `, by ${one.user}` : ""}</span></p><${JobLine} job=${one} /></li>`)}</ul>`}
    ${past.length > 0 && html`<h3>History</h3><ul class="jobs">${past.map((one) => html`<li key=${one.id} data-job=${one.kind} data-state=${one.state}><button class="plain line" aria-expanded=${open === one.id} onClick=${() => setOpen(open === one.id ? "" : one.id)}>
      <span class=${`badge ${kinds[one.state]}`}>${words[one.state]}</span><span class="grow"><b>${capital(one.kind)}</b> ${one.subject || ""}${one.result?.plan ? " (plan)" : ""}</span><span class="small quiet">${when(one.started)}${one.ended ? `, ${duration((Date.parse(one.ended) - Date.parse(one.started)) / 1000)}` : ""}</span></button>
      ${open === one.id ? html`<div class="detail"><${JobLine} job=${one} /><p class="small quiet">${exactly(one.started)}${one.user ? `, by ${one.user}` : ""}</p></div>` : html`<p class="small brief">${outcome(one)}</p>`}</li>`)}</ul>`}</section>`;
}

export function Care() {
  const who = useStore(me);
  useStore(stats);
  return html`<h1>Care</h1>
    <div class="columns"><div class="stack"><${Verify} />${!who.read_only && html`<${Rebalance} />`}</div><div class="stack">${!who.read_only && html`<${Rebuild} />`}<${Unneeded} />${!who.read_only && html`<${Drain} />`}</div></div><${Jobs} />`;
}
