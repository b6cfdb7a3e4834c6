// @ts-check
// What was deleted or overwritten, and can be brought back.
import { html, useCallback, useEffect, useMemo, useState } from "./vendor/preact.js";
import { call, get, nameOf, parent, post } from "./api.js";
import { bytes, duration, plural } from "./format.js";
import { changed, viewOf } from "./ops.js";
import { confirm, Failure, Icon, say, sayFailure } from "./parts.js";
import { me } from "./pool.js";
import { useStore } from "./store.js";

/** So many are shown at first. */
const page = 200;

export function Trash() {
  const [versions, setVersions] = useState(/** @type {any[] | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [text, setText] = useState("");
  const [shown, setShown] = useState(page);
  const who = useStore(me);
  const load = useCallback(async () => {
    try {
      setVersions((await get("trash")).versions);
      setError(null);
    } catch (problem) {
      setError(problem);
    }
  }, []);
  useEffect(() => {
    load();
    for (const event of ["poolchange", "focus"]) addEventListener(event, load);
    return () => {
      for (const event of ["poolchange", "focus"]) removeEventListener(event, load);
    };
  }, [load]);
  const found = useMemo(() => (versions || []).filter((one) => one.path.toLowerCase().includes(text.trim().toLowerCase())), [versions, text]);
  const restore = async (/** @type {any} */ one) => {
    try {
      await post("trash/restore", { path: one.path, version: one.version });
      say(`Restored “${nameOf(one.path)}”.`, { action: { label: "Show", run: () => (location.hash = viewOf(one.path, true)) } });
      changed();
    } catch (problem) {
      sayFailure(problem);
    }
  };
  const empty = async () => {
    if (!(await confirm("Empty the trash?", html`<p>${plural(versions?.length || 0, "version")} cannot be restored any more then.</p>`, "Empty", { danger: true }))) return;
    try {
      const done = await call("DELETE", "trash");
      say(`${plural(done.versions, "version")} gone.`);
      changed();
    } catch (problem) {
      sayFailure(problem);
    }
  };
  return html`<h1>Trash</h1><p class="quiet">What was deleted or overwritten stays here for a while. A restored file replaces what is at its place; that goes to the trash in turn.</p>
    <${Failure} error=${error} retry=${load} />
    <div class="bar"><label class="search first"><${Icon} name="search" /><input type="search" placeholder="Search the trash" aria-label="Search the trash" value=${text} onInput=${(/** @type {any} */ event) => { setText(event.target.value); setShown(page); }} /></label>
      ${!who.read_only && !!versions?.length && html`<button class="button danger" onClick=${empty}><${Icon} name="trash" />Empty</button>`}<span class="quiet small sum" role="status">${versions ? plural(found.length, "version") : ""}</span></div>
    ${!versions && !error && html`<p class="loading">Loading…</p>`}
    ${versions && found.length === 0 && html`<div class="nothing card"><${Icon} name="trash" /><p>${text ? "Nothing in the trash is called so." : "The trash is empty."}</p></div>`}
    ${found.length > 0 && html`<ul class="card trashed">${found.slice(0, shown).map((one) => html`<li key=${`${one.path} ${one.version}`} data-trashed=${one.path}><${Icon} name=${one.kind === "directory" ? "folder" : "file"} /><div class="grow"><p class="name">${nameOf(one.path)}</p>
      <p class="small quiet">${parent(one.path)} · ${one.kind === "directory" ? "folder" : bytes(one.size)} · since ${duration(one.age_seconds)} · ${one.expiring ? "being deleted" : `${duration(one.left_seconds)} left`}</p></div>
      ${!who.read_only && html`<button class="button small" disabled=${one.expiring} aria-label=${`Restore ${one.path}`} onClick=${() => restore(one)}><${Icon} name="restore" />Restore</button>`}</li>`)}</ul>`}
    ${found.length > shown && html`<button class="button" onClick=${() => setShown(shown + 1000)}>Show more of ${found.length}</button>`}`;
}
