// @ts-check
// One file: what it holds, where it lies, how it is.
import { html, useCallback, useEffect, useState } from "./vendor/preact.js";
import { fileAddress, get, parent, post } from "./api.js";
import { bytes, count, exactly, plural, remoteName } from "./format.js";
import { Working } from "./job.js";
import { on } from "./live.js";
import { copyLink, download, iconOf, move, remove, rename, viewOf } from "./ops.js";
import { Failure, Icon, sayFailure } from "./parts.js";
import { health as poolHealth, me } from "./pool.js";
import { Preview } from "./preview.js";
import { useStore } from "./store.js";

/** So many chunks are drawn at first, and more each time they are asked for. */
const drawn = 40;

/** How a file is, in words. @param {any} it @param {any} file */
function healthWords(it, file) {
  const { missing, truncated, corrupt, misplaced, unknown } = it.shards;
  const bad = [missing && `${count(missing)} missing`, truncated && `${count(truncated)} of a wrong size`, corrupt && `${count(corrupt)} corrupt`, misplaced && `${count(misplaced)} badly placed`, unknown && `${count(unknown)} on remotes that are away`].filter(Boolean);
  const shards = bad.length ? ` Of its shards: ${bad.join(", ")}.` : "";
  const n = it.tolerated_remotes;
  const survives = `It survives the loss of any ${n === 1 ? "1 remote" : `${n} remotes`}`;
  if (it.state === "lost") return { kind: "bad", word: "Lost", text: `Too few shards are left to read it.${shards} A copy on the server's machine can mend it: rclonepool repair.` };
  if (it.state === "unavailable") return { kind: "bad", word: "Unavailable", text: `It can be read when remotes return.${shards}` };
  if (it.state === "at_risk") return { kind: "bad", word: "At risk", text: `It can be read, and would not survive the loss of another remote.${shards}` };
  if (it.state === "degraded") return { kind: "warn", word: "Degraded", text: `It can be read. ${survives}${n ? "" : " no more"}.${shards}` };
  if (n > 0) return { kind: "good", word: "Healthy", text: `${survives}.` };
  return { kind: "warn", word: "Whole", text: file.chunks === 0 ? "It lies in the journal, on all remotes." : "It has no redundancy: it is lost with the remote it lies on." };
}

/** Where the shards lie: a row per chunk, a column per remote. @param {{map: any}} props */
function Shards({ map }) {
  const [shown, setShown] = useState(drawn);
  const { chunks, damaged } = map;
  if (!chunks.length) return html`<p class="quiet">This file is so small that it lies in the journal, of which every remote has a copy.</p>`;
  /** @type {string[]} */
  const remotes = [...new Set(chunks.flatMap((/** @type {any} */ chunk) => chunk.shards.map((/** @type {any} */ shard) => shard.remote)))].sort();
  const bad = new Map(damaged.map((/** @type {any} */ one) => [`${one.chunk} ${one.place.index} ${one.place.copy}`, one.damage]));
  const { layout } = chunks[0];
  const cell = (/** @type {any} */ chunk, /** @type {any} */ shard) => {
    const isParity = shard.index >= chunk.layout.data;
    const damage = bad.get(`${chunk.chunk} ${shard.index} ${shard.copy}`);
    const kind = damage ? "damaged" : !shard.online ? "away" : isParity ? "parity" : "data";
    const name = isParity ? `P${shard.index - chunk.layout.data + 1}` : `D${shard.index + 1}`;
    const words = `${isParity ? "parity" : "data"} shard ${name}${chunk.layout.copies > 1 ? `, copy ${shard.copy + 1}` : ""}, ${bytes(shard.size)}${damage ? `, ${damage}` : ""}${shard.online ? "" : ", remote offline"}`;
    return html`<span class=${`shard ${kind}`} title=${words} data-shard=${kind}><span aria-hidden="true">${name}${damage ? "!" : ""}</span><span class="hidden">${words}</span></span>`;
  };
  return html`<p class="small">Each chunk is cut into ${plural(layout.data, "data shard")}${layout.parity ? `, with ${plural(layout.parity, "parity shard")} beside them: any ${layout.data} of them give it back` : layout.copies > 1 ? `, stored ${layout.copies} times` : ""}${layout.parity && layout.copies > 1 ? `; each is stored ${layout.copies} times` : ""}.</p>
    <div class="sideways" tabindex="0" role="region" aria-label="Shards by chunk and remote"><table class="shards"><thead><tr><th scope="col">Chunk</th>${remotes.map((name) => html`<th scope="col" title=${name}>${remoteName(name)}</th>`)}</tr></thead>
    <tbody>${chunks.slice(0, shown).map((/** @type {any} */ chunk, /** @type {number} */ at) => html`<tr key=${at}><th scope="row">${count(at + 1)} <span class="quiet small">${bytes(chunk.size)}</span></th>
      ${remotes.map((name) => html`<td>${chunk.shards.filter((/** @type {any} */ shard) => shard.remote === name).map((/** @type {any} */ shard) => cell(chunk, shard))}</td>`)}</tr>`)}</tbody></table></div>
    ${chunks.length > shown && html`<button class="button small" onClick=${() => setShown(shown + 200)}>Show more of ${count(chunks.length)} chunks</button>`}
    <p class="legend small"><span><i class="shard data"></i>data</span><span><i class="shard parity"></i>parity</span><span><i class="shard away"></i>remote offline</span><span><i class="shard damaged"></i>damaged</span></p>`;
}

/** @param {{path: string}} props */
export function FilePage({ path }) {
  const [file, setFile] = useState(/** @type {any} */ (null));
  const [map, setMap] = useState(/** @type {any} */ (null));
  const [health, setHealth] = useState(/** @type {any} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [job, setJob] = useState(/** @type {any} */ (null));
  const who = useStore(me);
  const pool = useStore(poolHealth);
  const mayWrite = !who?.read_only;

  const load = useCallback(async () => {
    try {
      const found = await get(fileAddress(path));
      if (found.kind === "directory") {
        location.replace(viewOf(path));
        return;
      }
      // As it is: an unchanged one must not start its preview again.
      setFile((/** @type {any} */ before) => (before && before.path === found.path && before.etag === found.etag ? before : found));
      setError(null);
      if (found.kind !== "file") return;
      const [shards, how] = await Promise.all([get(fileAddress(path, "shards")), get(fileAddress(path, "health"))]);
      setMap(shards);
      setHealth(how);
    } catch (problem) {
      setError(problem);
    }
  }, [path]);

  useEffect(() => {
    setFile(null);
    setMap(null);
    setHealth(null);
    setJob(null);
  }, [path]);
  // The pool's health is asked for anew whenever something happened: then this file's may be another, too.
  useEffect(() => {
    load();
  }, [load, pool]);
  useEffect(() => on("upload_progress", (data) => data.path === path && data.state === "done" && load()), [load]);

  const begin = async (/** @type {string} */ kind) => {
    try {
      setJob(await post(kind, kind === "verify" ? { file_path: path, level: "deep" } : { path }));
    } catch (problem) {
      sayFailure(problem);
    }
  };
  if (error && !file) return html`<h1>${path.split("/").pop()}</h1><${Failure} error=${error} retry=${load} /><p><a href=${viewOf(parent(path))}>To the folder</a></p>`;
  if (!file) return html`<p class="loading">Loading…</p>`;
  const words = health && healthWords(health, file);
  const renamed = async () => {
    const to = await rename(file);
    if (to) location.replace(viewOf(to, true));
  };
  const moved = async () => {
    const to = await move([file]);
    if (to) location.replace(viewOf(to));
  };
  const removed = async () => {
    if ((await remove([file])).length) location.hash = viewOf(parent(path));
  };
  return html`<nav class="crumbs" aria-label="Folder"><ol><li><a href="#/files">All files</a></li>${parent(path) === "/" ? "" : parent(path).slice(1).split("/").map((name, at, all) => html`<li><a href=${viewOf(`/${all.slice(0, at + 1).join("/")}`)}>${name}</a></li>`)}</ol></nav>
    <h1 class="filename"><${Icon} name=${iconOf(file)} />${file.name}</h1>
    <div class="bar tools" role="toolbar" aria-label="Actions"><button class="button primary" onClick=${() => download([file])}><${Icon} name="download" />Download</button>
      <button class="button" onClick=${() => copyLink(path)}><${Icon} name="link" />Copy link</button>
      ${mayWrite && html`<button class="button" onClick=${renamed}><${Icon} name="pencil" />Rename</button><button class="button" onClick=${moved}><${Icon} name="move" />Move</button><button class="button danger" onClick=${removed}><${Icon} name="trash" />Delete</button>`}</div>
    <${Failure} error=${error} retry=${load} />
    ${file.kind === "file" && html`<${Preview} file=${file} />`}
    <div class="columns"><section class="card" aria-labelledby="about"><h2 id="about">About</h2><dl class="facts">
      <div><dt>Size</dt><dd>${bytes(file.size)} <span class="quiet">(${plural(file.size, "byte")})</span></dd></div><div><dt>Kind</dt><dd>${file.kind === "link" ? `link to ${file.target}` : file.content_type}</dd></div>
      <div><dt>Modified</dt><dd>${exactly(file.modified)}</dd></div><div><dt>Stored</dt><dd>${exactly(file.created)}</dd></div>${file.kind === "file" && html`<div><dt>Chunks</dt><dd>${count(file.chunks)}</dd></div>`}</dl></section>
    ${words && html`<section class="card" aria-labelledby="how"><h2 id="how">Health</h2><p class=${`verdict ${words.kind}`} data-file-health=${health.state} role="status"><${Icon} name=${words.kind} /><span><b>${words.word}.</b> ${words.text}</span></p>
      <p class="buttons"><button class="button" disabled=${job?.state === "running"} onClick=${() => begin("verify")}>Verify every byte</button>
      ${mayWrite && html`<button class=${`button ${map?.damaged.length ? "primary" : ""}`} disabled=${job?.state === "running"} onClick=${() => begin("rebuild")}>Rebuild</button>`}</p>
      ${job && html`<${Working} key=${job.id} job=${job} ended=${(/** @type {any} */ it) => { setJob(it); load(); }} />`}</section>`}</div>
    ${map && html`<section class="card" aria-labelledby="where"><h2 id="where">Where it lies</h2><${Shards} map=${map} /></section>`}`;
}
