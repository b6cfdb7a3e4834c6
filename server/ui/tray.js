// @ts-check
// Uploads of this page, on every view.
import { html, useState } from "./vendor/preact.js";
import { nameOf } from "./api.js";
import { bytes, duration, plural, speed } from "./format.js";
import { Icon, Progress } from "./parts.js";
import { useStore } from "./store.js";
import { again, cancel, cancelAll, clear, isOpen, uploads } from "./uploads.js";

/** @param {{one: import("./uploads.js").Upload}} props */
function Row({ one }) {
  const left = one.speed > 0 ? (one.file.size - one.sent) / one.speed : NaN;
  const words = {
    waiting: "waiting",
    running: `${bytes(one.sent)} of ${bytes(one.file.size)} · ${speed(one.speed)}${Number.isFinite(left) ? ` · ${duration(left)} left` : ""}`,
    storing: "being stored…",
    done: `done, ${bytes(one.file.size)}`,
    failed: `${one.error?.message || "failed"}${one.error?.hint ? `: ${one.error.hint}` : ""}`,
    conflict: "a file is there already",
    cancelled: "cancelled",
  };
  return html`<li data-upload=${one.path} class=${one.state}><div class="grow"><p class="name" title=${one.path}>${nameOf(one.path)}</p>
    ${isOpen(one) && html`<${Progress} value=${one.sent} max=${one.file.size || null} label=${`Upload of ${nameOf(one.path)}`} />`}
    <p class="small quiet" role=${one.state === "failed" ? "alert" : undefined}>${words[one.state]}</p></div>
    ${one.state === "conflict" && html`<button class="button small" onClick=${() => again(one, true)}>Replace</button>`}
    ${(one.state === "failed" || one.state === "cancelled") && html`<button class="button small" onClick=${() => again(one)}>Try again</button>`}
    ${(isOpen(one) || one.state === "conflict") && html`<button class="iconbutton small" aria-label=${`Cancel the upload of ${nameOf(one.path)}`} onClick=${() => cancel(one)}><${Icon} name="close" /></button>`}</li>`;
}

export function Tray() {
  const all = useStore(uploads);
  const [open, setOpen] = useState(true);
  if (!all.length) return null;
  const under = all.filter(isOpen);
  const done = all.filter((one) => one.state === "done").length;
  const failed = all.filter((one) => one.state === "failed" || one.state === "conflict").length;
  const [sent, size] = [all.reduce((n, one) => n + (one.state === "done" ? one.file.size : one.sent), 0), all.reduce((n, one) => n + one.file.size, 0)];
  const rate = under.reduce((n, one) => n + one.speed, 0);
  const title = under.length ? `${plural(under.length, "upload")} under way` : `${plural(done, "upload")} done${failed ? `, ${failed} not` : ""}`;
  // What needs the eye comes first; of many that wait or are done, some are enough.
  const rank = { running: 0, storing: 0, failed: 1, conflict: 1, waiting: 2, cancelled: 3, done: 4 };
  const shown = [...all].sort((a, b) => rank[a.state] - rank[b.state]).slice(0, 50);
  return html`<section class="tray" aria-label="Uploads"><header><button class="plain grow" aria-expanded=${open} onClick=${() => setOpen(!open)}><b>${title}</b>${under.length > 0 && html`<span class="small quiet">${speed(rate)}</span>`}</button>
    ${under.length > 1 && html`<button class="button small" onClick=${cancelAll}>Cancel all</button>`}
    ${under.length === 0 && html`<button class="iconbutton small" aria-label="Close the list of uploads" onClick=${clear}><${Icon} name="close" /></button>`}</header>
    ${under.length > 0 && html`<${Progress} value=${sent} max=${size || null} label="All uploads" />`}
    ${open && html`<ul tabindex="0" aria-label="List of uploads">${shown.map((one) => html`<${Row} key=${one.id} one=${one} />`)}</ul>`}
    ${open && all.length > shown.length && html`<p class="small quiet more">and ${all.length - shown.length} more</p>`}</section>`;
}
