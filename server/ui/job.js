// @ts-check
// Jobs: how far they are, and what they came to.
import { html, useEffect, useState } from "./vendor/preact.js";
import { call } from "./api.js";
import { bytes, count, duration, plural } from "./format.js";
import { capital, Failure, Progress, sayFailure } from "./parts.js";
import { follow } from "./pool.js";

/** @param {number} n @param {string} text */
const some = (n, text) => (n > 0 ? text : "");

/** What a job came to, in a sentence. @param {any} job */
export function outcome(job) {
  if (job.state === "cancelled") return "Cancelled. What it had done by then stays done.";
  if (job.state === "failed") return job.error?.detail ? capital(job.error.detail) : "Failed.";
  const r = job.result;
  if (!r) return job.state === "done" ? "Done." : "";
  if (r.plan) return planned(job.kind, r.plan);
  if (job.kind === "verify") {
    const bad = r.shards.missing + r.shards.truncated + r.shards.corrupt + (r.trash?.damaged || 0);
    const read = r.checked.bytes_read > 0 ? `, ${bytes(r.checked.bytes_read)} read` : "";
    const looked = `${plural(r.checked.files, "file")} and ${plural(r.checked.shards, "shard")} checked${read}`;
    if (bad === 0 && !r.commits.damaged?.length) return `All is as it should be: ${looked}.${some(r.shards.unknown, ` ${plural(r.shards.unknown, "shard")} on remotes that are away could not be looked at.`)}`;
    const what = [some(r.shards.missing, `${count(r.shards.missing)} missing`), some(r.shards.truncated, `${count(r.shards.truncated)} of a wrong size`), some(r.shards.corrupt, `${count(r.shards.corrupt)} corrupt`), some(r.trash?.damaged || 0, `${count(r.trash?.damaged || 0)} in the trash damaged`), some(r.commits.damaged?.length || 0, "copies of commits corrupt")].filter(Boolean).join(", ");
    return `Damage found: of the shards ${what}; ${looked}. A rebuild mends what it can.`;
  }
  if (job.kind === "rebuild") {
    const failed = r.unrecoverable + r.failed;
    if (r.shards === 0 && failed === 0 && !r.commits) return "Nothing was damaged.";
    return `${plural(r.shards, "shard")} restored (${bytes(r.bytes)}) in ${plural(r.chunks, "chunk")}.${some(r.unrecoverable, ` ${plural(r.unrecoverable, "chunk")} cannot be restored: too few shards are left.`)}${some(r.failed, ` ${plural(r.failed, "chunk")} failed and can be tried again.`)}`;
  }
  if (job.kind === "rebalance") return `${plural(r.shards, "shard")} moved (${bytes(r.bytes)}). The fills differ by ${r.variance.toFixed(1)} points now.${some(r.failed, ` ${count(r.failed)} could not be moved.`)}`;
  if (job.kind === "drain") return r.shards !== undefined ? `${plural(r.shards, "shard")} moved away (${bytes(r.bytes)}).${r.change?.state ? ` The remote is ${r.change.state} now.` : ""}` : "Done.";
  if (job.kind === "orphans") {
    const size = r.orphans.reduce((/** @type {number} */ n, /** @type {any} */ one) => n + one.bytes, 0) + r.leftovers.reduce((/** @type {number} */ n, /** @type {any} */ one) => n + one.bytes, 0);
    const n = r.remotes.reduce((/** @type {number} */ all, /** @type {any} */ one) => all + one.objects, 0);
    return n === 0 ? "Nothing lies about that nobody needs." : `${plural(n, "object")} that nobody needs (${bytes(size)}).`;
  }
  if (job.kind === "gc") return `${bytes(r.reclaimed)} freed (${plural(r.objects, "object")}).${some(r.waiting, ` ${bytes(r.waiting)} wait until other machines cannot need them any more${r.next_ms ? `: the first can go in ${duration(r.next_ms / 1000)}` : ""}.`)}`;
  return "Done.";
}

/** @param {string} kind @param {any} plan */
function planned(kind, plan) {
  if (kind === "rebalance") return plan.shards === 0 ? `Nothing to move: the fills differ by ${plan.variance.toFixed(1)} points.` : `${plural(plan.shards, "shard")} (${bytes(plan.bytes)}) would move.`;
  if (kind === "drain") return `${plural(plan.shards, "shard")} (${bytes(plan.bytes)}) would leave it.`;
  return plan.chunks.length ? `${plural(plan.chunks.length, "chunk")} would be mended.` : "Nothing is damaged.";
}

/** @param {{job: any, cancellable?: boolean}} props */
export function JobLine({ job, cancellable = true }) {
  const { progress: p } = job;
  const byBytes = p.bytes_total > 0;
  const [value, max] = byBytes ? [p.bytes, p.bytes_total] : [p.items, p.items_total || null];
  const cancel = () => call("DELETE", `jobs/${job.id}`).catch(sayFailure);
  if (job.state !== "running") {
    return html`<div class=${`outcome ${job.state}`} data-job-state=${job.state}>${job.state === "failed" ? html`<${Failure} error=${{ ...job.error, message: job.error?.detail }} />` : html`<p>${outcome(job)}</p>`}
      ${job.notices?.length > 0 && html`<details><summary>${plural(job.notices.length, "notice")}</summary><ul class="small">${job.notices.map((/** @type {string} */ one) => html`<li>${one}</li>`)}</ul></details>`}</div>`;
  }
  return html`<div class="working" data-job-state="running"><div class="grow"><${Progress} value=${value} max=${max} label=${`${capital(job.kind)}${job.subject ? ` of ${job.subject}` : ""}`} />
    <p class="small quiet">${byBytes ? `${bytes(p.bytes)} of ${bytes(p.bytes_total)}` : p.items_total ? `${count(p.items)} of ${count(p.items_total)}` : "under way…"}</p></div>
    ${cancellable && html`<button class="button small" onClick=${cancel}>Cancel</button>`}</div>`;
}

/** A job that was just started, to its end. @param {{job: any, ended?: (job: any) => void}} props */
export function Working({ job, ended }) {
  const [now, setNow] = useState(job);
  useEffect(() => {
    let isHere = true;
    follow(job, (it) => isHere && setNow(it)).then((it) => {
      if (!isHere) return;
      setNow(it);
      ended?.(it);
    });
    return () => {
      isHere = false;
    };
  }, [job.id]);
  return html`<div role="status"><${JobLine} job=${now} /></div>`;
}
