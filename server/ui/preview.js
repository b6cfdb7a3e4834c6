// @ts-check
// What a file holds, where a browser can show it.
import { html, useEffect, useState } from "./vendor/preact.js";
import { contentUrl, problemOf } from "./api.js";
import { bytes } from "./format.js";
import { download } from "./ops.js";
import { Failure, Icon } from "./parts.js";

/** Of a text so much is shown, in bytes; */
const text_max = 256 * 1024;
/** a PDF is held in memory as a whole: a larger one is for a program of its own. */
const pdf_max = 200 * 1024 * 1024;

const text_types = /^(text\/|application\/(json|xml|javascript|x-sh|x-yaml|yaml|toml|x-ndjson|sql|x-subrip)|image\/svg)/;
const text_names = /\.(md|txt|log|csv|tsv|ya?ml|toml|ini|conf|cfg|rs|py|js|ts|go|c|h|cpp|java|sh|sql|srt|vtt|nfo|gitignore|lock)$/i;

/** @param {import("./ops.js").Entry} file */
export function kindOf(file) {
  const type = file.content_type || "";
  if (type.startsWith("image/") && !type.startsWith("image/svg")) return "image";
  if (type === "application/pdf") return "pdf";
  if (type.startsWith("audio/")) return "audio";
  if (type.startsWith("video/")) return "video";
  if (text_types.test(type) || text_names.test(file.name)) return "text";
  return "none";
}

/** @param {{file: import("./ops.js").Entry}} props */
function Text({ file }) {
  const [text, setText] = useState(/** @type {string | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const abort = new AbortController();
    const headers = file.size > text_max ? { Range: `bytes=0-${text_max - 1}` } : {};
    fetch(contentUrl(file.path), { headers, signal: abort.signal }).then(async (response) => {
      const body = await response.text();
      if (response.ok) setText(body);
      else setError(problemOf(response.status, body));
    }).catch((problem) => abort.signal.aborted || setError(problem));
    return () => abort.abort();
  }, [file.path, file.etag]);
  if (error) return html`<${Failure} error=${error} />`;
  if (text === null) return html`<p class="loading">Loading…</p>`;
  return html`<pre class="text" tabindex="0" aria-label=${`Content of ${file.name}`}>${text}</pre>${file.size > text_max && html`<p class="small quiet">The first ${bytes(text_max)} of ${bytes(file.size)}.</p>`}`;
}

/** @param {{file: import("./ops.js").Entry}} props */
function Pdf({ file }) {
  const [url, setUrl] = useState("");
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    const abort = new AbortController();
    let made = "";
    fetch(contentUrl(file.path), { signal: abort.signal }).then(async (response) => {
      if (!response.ok) throw problemOf(response.status, await response.text());
      made = URL.createObjectURL(new Blob([await response.arrayBuffer()], { type: "application/pdf" }));
      setUrl(made);
    }).catch((problem) => abort.signal.aborted || setError(problem));
    return () => {
      abort.abort();
      URL.revokeObjectURL(made);
    };
  }, [file.path, file.etag]);
  if (error) return html`<${Failure} error=${error} />`;
  return url ? html`<iframe class="pdf" src=${url} title=${file.name}></iframe>` : html`<p class="loading">Loading…</p>`;
}

/** @param {{file: import("./ops.js").Entry}} props */
export function Preview({ file }) {
  const [failed, setFailed] = useState(false);
  const kind = kindOf(file);
  const url = contentUrl(file.path);
  const fail = () => setFailed(true);
  useEffect(() => setFailed(false), [file.path, file.etag]);
  const cannot = (/** @type {string} */ why) => html`<div class="nothing"><${Icon} name="file" /><p>${why}</p><button class="button" onClick=${() => download([file])}><${Icon} name="download" />Download</button></div>`;
  let view;
  if (failed) view = cannot("The browser cannot show this: the format may be one it does not know, or the file cannot be read now.");
  else if (file.size === 0) view = cannot("The file is empty.");
  else if (kind === "image") view = html`<img src=${url} alt=${`Preview of ${file.name}`} onError=${fail} />`;
  else if (kind === "video") view = html`<video src=${url} controls preload="metadata" aria-label=${file.name} onError=${fail}></video>`;
  else if (kind === "audio") view = html`<audio src=${url} controls preload="metadata" aria-label=${file.name} onError=${fail}></audio>`;
  else if (kind === "pdf") view = file.size > pdf_max ? cannot(`A PDF of ${bytes(file.size)} is too large to be shown here.`) : html`<${Pdf} file=${file} />`;
  else if (kind === "text") view = html`<${Text} file=${file} />`;
  else view = cannot("There is no preview for this kind of file.");
  const shown = failed || file.size === 0 ? "none" : kind;
  return html`<section class=${`card preview ${shown}`} aria-label="Preview">${view}</section>`;
}
