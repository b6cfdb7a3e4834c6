// @ts-check
// The files: a directory, or what a search found below it.
import { html, useCallback, useEffect, useMemo, useRef, useState } from "./vendor/preact.js";
import { get, nameOf, parent, post, query } from "./api.js";
import { count, plural } from "./format.js";
import { List } from "./list.js";
import { on } from "./live.js";
import { download, changed, move, newFolder, remove, rename, viewOf } from "./ops.js";
import { ask, Failure, Icon, say, sayFailure } from "./parts.js";
import { me } from "./pool.js";
import { useStore } from "./store.js";
import { add, chosenFiles, droppedFiles } from "./uploads.js";

/** @typedef {import("./ops.js").Entry} Entry */

const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
/** What a search shows at most. */
const found_max = 2000;

/** @param {Entry[]} entries @param {{key: string, down: boolean}} order */
function sorted(entries, { key, down }) {
  const sign = down ? -1 : 1;
  /** @param {Entry} a @param {Entry} b */
  const by = (a, b) => {
    if (key === "size") return a.size - b.size;
    if (key === "modified") return (a.modified || "") < (b.modified || "") ? -1 : (a.modified || "") > (b.modified || "") ? 1 : 0;
    return 0;
  };
  return [...entries].sort((a, b) => {
    const folders = Number(b.kind === "directory") - Number(a.kind === "directory");
    return folders || sign * by(a, b) || (key === "name" ? sign : 1) * collator.compare(a.name, b.name);
  });
}

/** All entries of a directory; `some` is told of what came so far. @param {string} dir @param {AbortSignal} signal @param {(entries: Entry[]) => void} some */
async function listAll(dir, signal, some) {
  /** @type {Entry[]} */
  let all = [];
  let after;
  do {
    const page = await get(`files${query({ dir, limit: 10000, after })}`, signal);
    all = all.concat(page.entries);
    after = page.next;
    if (after) some(all);
  } while (after);
  return all;
}

/** What lies deeper and is called so. @param {string} q @param {string} dir @param {AbortSignal} signal */
async function searchBelow(q, dir, signal) {
  /** @type {Entry[]} */
  let all = [];
  let after;
  do {
    const page = await get(`search${query({ q, dir, limit: found_max, after })}`, signal);
    all = all.concat(page.entries);
    after = page.next;
  } while (after && all.length < found_max);
  return { all, more: !!after };
}

/** @param {{path: string}} props */
function Crumbs({ path }) {
  const names = path === "/" ? [] : path.slice(1).split("/");
  return html`<nav class="crumbs" aria-label="Folder"><ol><li><a href="#/files" aria-current=${names.length ? undefined : "page"}>All files</a></li>
    ${names.map((name, at) => html`<li><a href=${viewOf(`/${names.slice(0, at + 1).join("/")}`)} aria-current=${at === names.length - 1 ? "page" : undefined}>${name}</a></li>`)}</ol></nav>`;
}

/** Whether files of these names may be replaced. @param {string[]} names */
const askConflict = (names) => ask(names.length === 1 ? `“${names[0]}” is here already` : `${count(names.length)} of these are here already`, (close) => html`<div class="body">
  ${names.length > 1 && html`<ul class="names">${names.slice(0, 8).map((name) => html`<li>${name}</li>`)}${names.length > 8 && html`<li>and ${names.length - 8} more</li>`}</ul>`}
  <p>What is replaced goes to the trash.</p></div><footer><button class="button" onClick=${() => close()}>Cancel</button><button class="button" data-first onClick=${() => close("skip")}>Skip</button>
  <button class="button" onClick=${() => close("both")}>Keep both</button><button class="button primary" onClick=${() => close("replace")}>Replace</button></footer>`);

/** A name that is free: "a (2).txt". @param {string} path @param {Set<string>} taken */
function freePath(path, taken) {
  const name = nameOf(path);
  const dot = name.lastIndexOf(".") > 0 ? name.lastIndexOf(".") : name.length;
  for (let n = 2; ; n += 1) {
    const free = `${path.slice(0, path.length - name.length)}${name.slice(0, dot)} (${n})${name.slice(dot)}`;
    if (!taken.has(free)) return free;
  }
}

/** @param {{path: string}} props */
export function Files({ path }) {
  const [entries, setEntries] = useState(/** @type {Entry[] | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [order, setOrder] = useState({ key: "name", down: false });
  const [text, setText] = useState("");
  const [below, setBelow] = useState(/** @type {{all: Entry[], more: boolean, q: string} | null} */ (null));
  const [selected, setSelected] = useState(/** @type {Set<string>} */ (new Set()));
  const [isOver, setIsOver] = useState(false);
  const who = useStore(me);
  const files = useRef(/** @type {any} */ (null));
  const folder = useRef(/** @type {any} */ (null));
  const known = useRef(false);
  const mayWrite = !who?.read_only;

  const load = useCallback(async (/** @type {AbortSignal} */ signal) => {
    try {
      const all = await listAll(path, signal, setEntries);
      setEntries(all);
      known.current = true;
      setError(null);
      const there = new Set(all.map((one) => one.path));
      setSelected((before) => ([...before].every((one) => there.has(one) || parent(one) !== path) ? before : new Set([...before].filter((one) => there.has(one)))));
    } catch (problem) {
      if (signal.aborted) return;
      // A folder that nobody made is gone with the last of what lay in it: to who looks at it, it is empty.
      if (/** @type {any} */ (problem).status === 404 && known.current) setEntries([]);
      else setError(problem);
    }
  }, [path]);

  useEffect(() => {
    const abort = new AbortController();
    /** @type {any} */
    let soon = 0;
    const again = () => {
      clearTimeout(soon);
      soon = setTimeout(() => load(abort.signal), 250);
    };
    setEntries(null);
    known.current = false;
    setError(null);
    setText("");
    setSelected(new Set());
    load(abort.signal);
    const prefix = path === "/" ? "/" : `${path}/`;
    const off = [
      on("upload_progress", (data) => data.state === "done" && String(data.path).startsWith(prefix) && again()),
      on("connected", again),
    ];
    for (const event of ["poolchange", "focus"]) addEventListener(event, again);
    return () => {
      abort.abort();
      clearTimeout(soon);
      off.forEach((stop) => stop());
      for (const event of ["poolchange", "focus"]) removeEventListener(event, again);
    };
  }, [path, load]);

  // What is in this folder is found at once; what lies deeper, a moment later.
  const q = text.trim().toLowerCase();
  useEffect(() => {
    setBelow(null);
    if (!q) return;
    const abort = new AbortController();
    const wait = setTimeout(() => {
      searchBelow(q, path, abort.signal).then((it) => setBelow({ ...it, q }), (problem) => abort.signal.aborted || sayFailure(problem));
    }, 300);
    return () => {
      clearTimeout(wait);
      abort.abort();
    };
  }, [q, path]);

  const rows = useMemo(() => {
    if (!entries) return [];
    if (!q) return sorted(entries, order);
    const here = entries.filter((one) => one.name.toLowerCase().includes(q));
    const deeper = below && below.q === q ? below.all.filter((one) => parent(one.path) !== path) : [];
    return [...sorted(here, order), ...sorted(deeper, order)];
  }, [entries, q, below, order, path]);

  const chosen = useMemo(() => rows.filter((one) => selected.has(one.path)), [rows, selected]);

  const upload = async (/** @type {{file: File, path: string}[]} */ list) => {
    if (!mayWrite) {
      say("You may only read this pool.", { kind: "bad" });
      return;
    }
    const taken = new Set((entries || []).map((one) => one.path));
    const there = list.filter((one) => taken.has(one.path));
    let replace = false;
    let send = list;
    if (there.length) {
      const how = await askConflict(there.map((one) => nameOf(one.path)));
      if (!how) return;
      if (how === "skip") send = list.filter((one) => !taken.has(one.path));
      if (how === "both") send = list.map((one) => (taken.has(one.path) ? { ...one, path: freePath(one.path, taken) } : one));
      if (how === "replace") {
        replace = true;
        send = list.filter((one) => !taken.has(one.path));
        add(there, true);
      }
    }
    if (send.length) add(send, replace && send === list);
  };

  const uploadRef = useRef(upload);
  uploadRef.current = upload;
  useEffect(() => {
    let depth = 0;
    const carries = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types || [])].includes("Files");
    const over = (/** @type {DragEvent} */ event) => carries(event) && event.preventDefault();
    const enter = (/** @type {DragEvent} */ event) => {
      if (carries(event)) {
        depth += 1;
        setIsOver(true);
      }
    };
    const leave = (/** @type {DragEvent} */ event) => {
      if (carries(event) && --depth <= 0) {
        depth = 0;
        setIsOver(false);
      }
    };
    const drop = async (/** @type {DragEvent} */ event) => {
      if (!carries(event) || !event.dataTransfer) return;
      event.preventDefault();
      depth = 0;
      setIsOver(false);
      try {
        const { found, empty } = await droppedFiles(event.dataTransfer, path);
        await uploadRef.current(found);
        for (const one of empty) await post("mkdir", { path: one });
        if (empty.length) changed();
      } catch (problem) {
        sayFailure(problem);
      }
    };
    /** @type {[string, any][]} */
    const all = [["dragover", over], ["dragenter", enter], ["dragleave", leave], ["drop", drop]];
    for (const [name, listener] of all) addEventListener(name, listener);
    return () => all.forEach(([name, listener]) => removeEventListener(name, listener));
  }, [path]);

  const take = (/** @type {any} */ event) => {
    const list = chosenFiles(event.target.files, path);
    event.target.value = "";
    if (list.length) upload(list);
  };
  const act = {
    open: (/** @type {Entry} */ one) => (location.hash = viewOf(one.path, one.kind !== "directory")),
    up: () => path !== "/" && (location.hash = viewOf(parent(path))),
    rename: (/** @type {Entry} */ one) => mayWrite && rename(one),
    remove: (/** @type {Entry[]} */ some) => mayWrite && some.length && remove(some),
  };

  let empty = null;
  if (entries && rows.length === 0) {
    empty = q ? html`<p>Nothing here is called “${text}”${below ? "" : "; looking deeper…"}</p>` : html`<${Icon} name="folder" /><p><b>This folder is empty.</b></p>${mayWrite && html`<p>Drop files or folders here, or use “Upload”.</p>`}`;
  }
  const sum = chosen.length ? `${count(chosen.length)} selected` : q ? `${plural(rows.length, "match", "matches")}${below?.more ? ", and more" : ""}${below ? "" : "…"}` : entries ? plural(rows.length, "entry", "entries") : "";
  return html`<div class="files"><h1 class="hidden">Files in ${path}</h1>
    <div class="bar"><${Crumbs} path=${path} />
      <label class="search"><${Icon} name="search" /><input type="search" placeholder="Search here and below" aria-label="Search here and below" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)}
        onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
          if (event.key === "Escape") setText("");
          if (event.key === "ArrowDown") /** @type {HTMLElement | null} */ (document.querySelector("[role=row][tabindex='0']"))?.focus();
        }} /></label></div>
    <div class="bar tools" role="toolbar" aria-label="Actions">
      ${chosen.length === 0 ? html`${mayWrite && html`<button class="button primary" onClick=${() => files.current.click()}><${Icon} name="upload" />Upload</button>
        <button class="button" onClick=${() => folder.current.click()}><${Icon} name="folder" />Upload folder</button>
        <button class="button" onClick=${() => newFolder(path)}><${Icon} name="newfolder" />New folder</button>`}`
      : html`<button class="button" onClick=${() => download(chosen)}><${Icon} name="download" />Download</button>
        ${mayWrite && html`${chosen.length === 1 && html`<button class="button" onClick=${() => rename(chosen[0])}><${Icon} name="pencil" />Rename</button>`}
        <button class="button" onClick=${() => move(chosen)}><${Icon} name="move" />Move</button>
        <button class="button danger" onClick=${() => remove(chosen)}><${Icon} name="trash" />Delete</button>`}
        <button class="button plain" onClick=${() => setSelected(new Set())}>Clear</button>`}
      <span class="quiet small sum" role="status" data-sum>${sum}</span></div>
    <input type="file" multiple hidden ref=${files} onChange=${take} data-choose="files" aria-label="Files to upload" />
    <input type="file" webkitdirectory hidden ref=${folder} onChange=${take} data-choose="folder" aria-label="A folder to upload" />
    <${Failure} error=${error} retry=${() => load(new AbortController().signal)} />
    ${!entries && !error && html`<p class="loading">Loading…</p>`}
    ${entries && html`<${List} rows=${rows} order=${order} setOrder=${setOrder} selected=${selected} setSelected=${setSelected} act=${act} here=${path} label=${`Files in ${path}`} empty=${empty} />`}
    ${isOver && html`<div class="dropzone" aria-hidden="true"><div><${Icon} name="upload" /><p>Drop to upload into <b>${path}</b></p></div></div>`}</div>`;
}
