// @ts-check
// Uploads: a queue that outlives the view it was started from.
import { contentUrl, join, problemOf, signInNeeded, unreachable } from "./api.js";
import { store } from "./store.js";

/** How many at once: browsers open six connections to a server, and the page needs some itself. */
const together = 3;

/** @typedef {{id: number, file: File, path: string, state: "waiting" | "running" | "storing" | "done" | "failed" | "conflict" | "cancelled",
 *   sent: number, speed: number, replace: boolean, error: any, request: XMLHttpRequest | null}} Upload */

/** @type {import("./store.js").Store<Upload[]>} */
export const uploads = store([]);
let last = 0;

const change = (/** @type {number} */ id, /** @type {Partial<Upload>} */ by) => uploads.update((all) => all.map((one) => (one.id === id ? { ...one, ...by } : one)));

/** @param {{file: File, path: string}[]} files @param {boolean} replace whether what is there may be replaced */
export function add(files, replace = false) {
  const made = files.map(({ file, path }) => ({ id: ++last, file, path, state: /** @type {const} */ ("waiting"), sent: 0, speed: 0, replace, error: null, request: null }));
  uploads.update((all) => [...all, ...made]);
  next();
}

function next() {
  let free = together - uploads.get().filter((one) => one.state === "running" || one.state === "storing").length;
  for (const one of uploads.get()) {
    if (free <= 0) return;
    if (one.state === "waiting") {
      free -= 1;
      send(one);
    }
  }
}

/** @param {Upload} upload */
function send(upload) {
  const { id, file, path } = upload;
  const request = new XMLHttpRequest();
  let [at, before] = [performance.now(), 0];
  let told = 0;
  request.upload.onprogress = (event) => {
    const now = performance.now();
    if (now - told < 150 && event.loaded < event.total) return;
    told = now;
    const known = uploads.get().find((one) => one.id === id);
    let speed = known?.speed || 0;
    if (now - at > 400) {
      const rate = ((event.loaded - before) * 1000) / (now - at);
      speed = speed ? speed * 0.6 + rate * 0.4 : rate;
      [at, before] = [now, event.loaded];
    }
    change(id, { sent: event.loaded, speed });
  };
  request.upload.onload = () => change(id, { state: "storing", sent: file.size });
  request.onload = () => {
    const { status } = request;
    if (status >= 200 && status < 300) change(id, { state: "done", sent: file.size, request: null });
    else if (status === 412) change(id, { state: "conflict", request: null });
    else {
      if (status === 401) signInNeeded.set(true);
      change(id, { state: "failed", error: problemOf(status, request.responseText), request: null });
    }
    next();
  };
  request.onerror = () => {
    change(id, { state: "failed", error: unreachable(), request: null });
    next();
  };
  request.onabort = () => {
    change(id, { state: "cancelled", request: null });
    next();
  };
  request.open("PUT", contentUrl(path));
  request.setRequestHeader("X-OC-Mtime", String(Math.floor(file.lastModified / 1000)));
  if (!upload.replace) request.setRequestHeader("If-None-Match", "*");
  change(id, { state: "running", request, error: null, sent: 0 });
  request.send(file);
}

/** @param {Upload} upload */
export function cancel(upload) {
  if (upload.request) upload.request.abort();
  else change(upload.id, { state: "cancelled" });
}

export const cancelAll = () => uploads.get().filter(isOpen).forEach(cancel);

/** @param {Upload} upload @param {boolean} [replace] */
export function again(upload, replace = upload.replace) {
  change(upload.id, { state: "waiting", replace, error: null, sent: 0, speed: 0 });
  next();
}

/** Whether it is still under way. @param {Upload} upload */
export const isOpen = (upload) => upload.state === "waiting" || upload.state === "running" || upload.state === "storing";

/** Forgets those that have ended. */
export const clear = () => uploads.update((all) => all.filter(isOpen));

addEventListener("beforeunload", (event) => {
  if (uploads.get().some(isOpen)) event.preventDefault();
});

/** @param {any} entry a FileSystemEntry @param {string} directory @param {{file: File, path: string}[]} found @param {string[]} empty */
async function walk(entry, directory, found, empty) {
  const path = join(directory, entry.name);
  if (entry.isFile) {
    found.push({ file: await new Promise((resolve, reject) => entry.file(resolve, reject)), path });
    return;
  }
  const reader = entry.createReader();
  let any = false;
  for (;;) {
    // It gives a hundred at a time.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    any = true;
    for (const one of some) await walk(one, path, found, empty);
  }
  if (!any) empty.push(path);
}

/**
 * What was dropped: files, and the empty directories among them.
 * @param {DataTransfer} dropped @param {string} directory
 */
export async function droppedFiles(dropped, directory) {
  /** @type {{file: File, path: string}[]} */
  const found = [];
  /** @type {string[]} */
  const empty = [];
  // Both lists are gone once this function waits.
  const entries = [...dropped.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const files = [...dropped.files];
  if (entries.length) for (const entry of entries) await walk(entry, directory, found, empty);
  else for (const file of files) found.push({ file, path: join(directory, file.name) });
  return { found, empty };
}

/** @param {FileList} list @param {string} directory */
export const chosenFiles = (list, directory) => [...list].map((file) => ({ file, path: join(directory, file.webkitRelativePath || file.name) }));
