// @ts-check
// What can be done to files, with its questions.
import { html, useEffect, useState } from "./vendor/preact.js";
import { call, contentUrl, fileAddress, get, join, nameOf, parent, post, publicUrl, query } from "./api.js";
import { plural } from "./format.js";
import { ask, askText, confirm, Failure, Icon, nameProblem, say, sayFailure } from "./parts.js";
import { refreshSoon } from "./pool.js";

/** @typedef {{path: string, name: string, kind: "file" | "directory" | "link", size: number, modified?: string, created?: string,
 *   content_type?: string, etag?: string, chunks: number, executable?: boolean, target?: string}} Entry */

/** The address of the view of a path. @param {string} path @param {boolean} isFile */
export const viewOf = (path, isFile = false) => `#/${isFile ? "file" : "files"}${path === "/" ? "" : path.split("/").map(encodeURIComponent).join("/")}`;

/** @param {Entry[]} entries @returns {Promise<string[]>} the paths that are gone */
export async function remove(entries) {
  const folders = entries.filter((one) => one.kind === "directory").length;
  const what = entries.length === 1 ? `“${entries[0].name}”` : plural(entries.length, "item");
  const text = html`${(folders > 0 || entries.length > 1) && html`<p>Delete ${what}${folders ? (entries.length === 1 ? " with all that lies in it" : `, ${plural(folders, "folder")} with all that lies in ${folders === 1 ? "it" : "them"} among them`) : ""}?</p>`}
    ${entries.length > 1 && html`<ul class="names">${entries.slice(0, 8).map((one) => html`<li>${one.name}</li>`)}${entries.length > 8 && html`<li>and ${entries.length - 8} more</li>`}</ul>`}
    <p class="quiet">Files go to the trash, and can be restored from there for a while.</p>`;
  if (!(await confirm(`Delete ${what}?`, text, "Delete", { danger: true }))) return [];
  const since = Date.now();
  const gone = [];
  for (const one of entries) {
    try {
      await call("DELETE", `${fileAddress(one.path)}?recursive=true`);
      gone.push(one.path);
    } catch (error) {
      sayFailure(error);
      break;
    }
  }
  if (gone.length) {
    say(`Deleted ${gone.length === 1 ? `“${nameOf(gone[0])}”` : plural(gone.length, "item")}.`, { action: { label: "Undo", run: () => undo(gone, since) } });
    changed();
  }
  return gone;
}

/** @param {string[]} paths @param {number} since when they were deleted, in milliseconds since 1970 */
async function undo(paths, since) {
  const age = (Date.now() - since) / 1000 + 1;
  try {
    const back = new Set();
    for (const path of paths) {
      // A folder comes back with what was deleted along with it, and with nothing that was gone before.
      const { versions } = await get(`trash${query({ path })}`);
      for (const one of versions.filter((/** @type {any} */ it) => it.age_seconds <= age)) {
        // By path, the newest first.
        if (back.has(one.path)) continue;
        const restored = await post("trash/restore", { path: one.path, version: one.version });
        for (const each of restored.paths) back.add(each);
      }
    }
    say("Restored.");
  } catch (error) {
    sayFailure(error);
  }
  changed();
}

/** Something in the pool changed by this page. */
export function changed() {
  dispatchEvent(new Event("poolchange"));
  refreshSoon();
}

/** @param {string} from @param {string} to */
async function moveTo(from, to) {
  try {
    await post("move", { from, to });
  } catch (error) {
    const problem = /** @type {any} */ (error);
    if (problem.status !== 409) throw error;
    const yes = await confirm("Something is there already", html`<p>“${nameOf(to)}” exists in ${parent(to)}. Replace it? What it holds goes to the trash.</p>`, "Replace", { danger: true });
    if (!yes) return false;
    await post("move", { from, to, overwrite: true });
  }
  return true;
}

/** @param {Entry} entry @returns {Promise<string | undefined>} the new path */
export async function rename(entry) {
  const name = await askText(`Rename “${entry.name}”`, { label: "New name", value: entry.name, yes: "Rename", check: nameProblem });
  if (!name || name === entry.name) return undefined;
  const to = join(parent(entry.path), name);
  try {
    if (!(await moveTo(entry.path, to))) return undefined;
    say(`Renamed to “${name}”.`);
    changed();
    return to;
  } catch (error) {
    sayFailure(error);
    return undefined;
  }
}

/** @param {Entry[]} entries @returns {Promise<string | undefined>} the folder they are in now */
export async function move(entries) {
  const from = parent(entries[0].path);
  const what = entries.length === 1 ? `“${entries[0].name}”` : plural(entries.length, "item");
  const to = await ask(`Move ${what}`, (close) => html`<${FolderPicker} from=${from} moved=${entries.map((one) => one.path)} close=${close} />`);
  if (!to || to === from) return undefined;
  try {
    for (const one of entries) await moveTo(one.path, join(to, one.name));
    say(`Moved ${what} to ${to}.`, { action: { label: "Show", run: () => (location.hash = viewOf(to)) } });
  } catch (error) {
    sayFailure(error);
  }
  changed();
  return to;
}

/** @param {{from: string, moved: string[], close: (answer?: any) => void}} props */
function FolderPicker({ from, moved, close }) {
  const [at, setAt] = useState(from);
  const [folders, setFolders] = useState(/** @type {Entry[] | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const abort = new AbortController();
    setFolders(null);
    setError(null);
    get(`files${query({ dir: at, limit: 10000 })}`, abort.signal).then(
      (page) => setFolders(page.entries.filter((/** @type {Entry} */ one) => one.kind === "directory" && !moved.includes(one.path))),
      (problem) => abort.signal.aborted || setError(problem),
    );
    return () => abort.abort();
  }, [at]);
  return html`<div class="body"><p class="small">To <b data-target>${at}</b></p><ul class="picker" aria-label="Folders">
    ${at !== "/" && html`<li><button class="plain" onClick=${() => setAt(parent(at))}><${Icon} name="up" />One folder up</button></li>`}
    ${folders?.map((one) => html`<li key=${one.path}><button class="plain" onClick=${() => setAt(one.path)}><${Icon} name="folder" />${one.name}</button></li>`)}
    ${folders?.length === 0 && html`<li class="quiet empty">No folders in here.</li>`}</ul><${Failure} error=${error} /></div>
    <footer><button class="button" onClick=${() => close()}>Cancel</button><button class="button primary" data-first disabled=${at === from} onClick=${() => close(at)}>Move here</button></footer>`;
}

/** @param {string} directory @returns {Promise<string | undefined>} its path */
export async function newFolder(directory) {
  const name = await askText("New folder", { label: "Name", yes: "Create", check: nameProblem });
  if (!name) return undefined;
  const path = join(directory, name);
  try {
    await post("mkdir", { path });
    say(`Created “${name}”.`);
    changed();
    return path;
  } catch (error) {
    sayFailure(error);
    return undefined;
  }
}

/** @param {Entry[]} entries */
export async function download(entries) {
  const files = entries.filter((one) => one.kind === "file");
  if (files.length < entries.length) say("Folders cannot be downloaded here: open them, or use WebDAV or `rclonepool download`.", { kind: "bad" });
  for (const one of files) {
    const link = Object.assign(document.createElement("a"), { href: contentUrl(one.path), download: one.name });
    document.body.append(link);
    link.click();
    link.remove();
    // Browsers drop downloads that begin at the same moment.
    if (files.length > 1) await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** @param {string} path */
export async function copyLink(path) {
  const url = publicUrl(path);
  try {
    await navigator.clipboard.writeText(url);
    say("The link is in the clipboard.");
  } catch {
    // Browsers allow it on HTTPS and localhost only.
    await ask("Link", (close) => html`<div class="body"><label class="field"><span>The file's address</span><input type="text" readonly data-first value=${url} /></label></div><footer><button class="button primary" onClick=${() => close()}>Close</button></footer>`);
  }
}

/** @param {Entry} entry */
export function iconOf(entry) {
  if (entry.kind === "directory") return "folder";
  if (entry.kind === "link") return "link";
  const kind = (entry.content_type || "").split("/")[0];
  return ["image", "video", "audio", "text"].includes(kind) ? kind : "file";
}
