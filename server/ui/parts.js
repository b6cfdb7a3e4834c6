// @ts-check
// What all views are made of.
import { html, useEffect, useRef, useState } from "./vendor/preact.js";
import { store, useStore } from "./store.js";

const shapes = {
  overview: "M3 12a9 9 0 1 1 18 0M12 12l4-5M3 12h2M19 12h2M5 20h14",
  folder: "M3 6.5A1.5 1.5 0 0 1 4.500 5H9l2 2.500h8.500A1.500 1.500 0 0 1 21 9v8.500a1.500 1.500 0 0 1-1.500 1.500h-15A1.500 1.500 0 0 1 3 17.500z",
  care: "M12 20s-8-4.600-8-10.500A4.500 4.500 0 0 1 12 6.800a4.500 4.500 0 0 1 8 2.700C20 15.400 12 20 12 20z",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  upload: "M12 16V4M7 9l5-5 5 5M4 17v3h16v-3",
  download: "M12 4v12M7 11l5 5 5-5M4 17v3h16v-3",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  image: "M4 5h16v14H4zM4 16l4.500-4.500 3.500 3.500 3-3 5 5M15 9.500h.01",
  video: "M4 6h11v12H4zM15 10.500 20 8v8l-5-2.500",
  audio: "M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0zM19 16a2.500 2.500 0 1 1-5 0 2.500 2.500 0 0 1 5 0z",
  text: "M6 3h8l4 4v14H6zM9 11h6M9 14h6M9 17h4",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500 20 20",
  plus: "M12 5v14M5 12h14",
  newfolder: "M3 6.500A1.500 1.500 0 0 1 4.500 5H9l2 2.500h8.500A1.500 1.500 0 0 1 21 9v8.500a1.500 1.500 0 0 1-1.500 1.500h-15A1.500 1.500 0 0 1 3 17.500zM12 10.500v5M9.500 13h5",
  close: "M6 6l12 12M18 6 6 18",
  check: "M5 12.500 10 17.500 19 7",
  warn: "M12 4 22 20H2zM12 10v4M12 17h.01",
  bad: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.500v5.500M12 16h.01",
  good: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM8 12.500l3 3 5-6",
  pencil: "M4 20l1-4L16.500 4.500l3 3L8 19z",
  move: "M4 12h14M13 7l5 5-5 5",
  link: "M9 15l6-6M10.500 6.500 13 4a4 4 0 0 1 6 6l-2.500 2.500M13.500 17.500 11 20a4 4 0 0 1-6-6l2.500-2.500",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v2.500M12 19.500V22M2 12h2.500M19.500 12H22M5 5l1.700 1.700M17.300 17.300 19 19M19 5l-1.700 1.700M6.700 17.300 5 19",
  moon: "M20 14.500A8.500 8.500 0 1 1 9.500 4a7 7 0 0 0 10.500 10.500z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  out: "M14 4h5v16h-5M10 8l-4 4 4 4M6 12h9",
  help: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM9.500 9.500a2.500 2.500 0 1 1 3.500 2.300c-.7.300-1 .8-1 1.700M12 16.500h.01",
  restore: "M4 5v5h5M4.500 10A8 8 0 1 1 4 13",
  up: "M12 19V6M6 12l6-6 6 6",
  drive: "M4 5h16v6H4zM4 13h16v6H4zM8 8h.01M8 16h.01",
};

/** @param {{name: string}} props */
export const Icon = ({ name }) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d=${shapes[name] || shapes.file} /></svg>`;

/** @param {number} part @param {number} whole */
export const percent = (part, whole) => (whole > 0 ? Math.min(100, Math.max(0, (part / whole) * 100)) : 0);

/** How far something is. @param {{value: number, max: number | null, label: string}} props */
export function Progress({ value, max, label }) {
  const known = max !== null && max > 0;
  const done = known ? percent(value, max) : 0;
  return html`<div class=${`progress${known ? "" : " unknown"}`} role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100" aria-valuenow=${known ? Math.floor(done) : undefined}><i style=${{ width: known ? `${done}%` : "30%" }}></i></div>`;
}

/** A failure in words, with what to do. @param {{error: any, retry?: () => void}} props */
export function Failure({ error, retry }) {
  if (!error) return null;
  const of = [error.remote && `remote ${error.remote}`, error.path].filter(Boolean).join(", ");
  return html`<div class="failure" role="alert"><${Icon} name="bad" /><div>
    <p><strong>${capital(error.message || error.detail || "Something failed")}</strong>${of && html` <span class="quiet">(${of})</span>`}</p>
    ${error.hint && html`<p>${capital(error.hint)}.</p>`}</div>
    ${retry && html`<button class="button" onClick=${retry}>Try again</button>`}</div>`;
}

/** @param {string} text */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @typedef {{id: number, text: string, kind: string, action?: {label: string, run: () => void}}} Toast */
/** @type {import("./store.js").Store<Toast[]>} */
const toasts = store([]);
let lastToast = 0;

/** Says something in passing. @param {string} text @param {{kind?: string, action?: {label: string, run: () => void}}} [more] */
export function say(text, { kind = "info", action } = {}) {
  const id = ++lastToast;
  toasts.update((all) => [...all.slice(-3), { id, text, kind, action }]);
  setTimeout(() => hide(id), kind === "bad" || action ? 12_000 : 5000);
}

const hide = (/** @type {number} */ id) => toasts.update((all) => all.filter((one) => one.id !== id));

/** Says what failed. @param {any} error */
export const sayFailure = (error) => say(capital([error.message, error.hint].filter(Boolean).join(": ")), { kind: "bad" });

export function Toasts() {
  const all = useStore(toasts);
  return html`<div class="toasts" role="status" aria-live="polite" aria-label="Messages">${all.map((one) => html`<div class=${`toast ${one.kind}`} key=${one.id}>
    <span>${one.text}</span>
    ${one.action && html`<button class="button small" onClick=${() => { hide(one.id); one.action?.run(); }}>${one.action.label}</button>`}
    <button class="iconbutton small" aria-label="Close message" onClick=${() => hide(one.id)}><${Icon} name="close" /></button></div>`)}</div>`;
}

/** A window in front of the page; Escape closes it. @param {{title: string, onClose: () => void, children?: any, wide?: boolean}} props */
export function Dialog({ title, onClose, children, wide }) {
  const ref = useRef(/** @type {any} */ (null));
  const [id] = useState(() => `dialog${++lastToast}`);
  useEffect(() => {
    const before = /** @type {HTMLElement | null} */ (document.activeElement);
    const dialog = ref.current;
    dialog.showModal();
    const first = dialog.querySelector("[data-first]");
    if (first) {
      first.focus();
      if (first.select) first.select();
    }
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  return html`<dialog ref=${ref} class=${wide ? "wide" : ""} aria-labelledby=${id}
    onCancel=${(/** @type {Event} */ event) => { event.preventDefault(); onClose(); }}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.stopPropagation()}>
    <header><h2 id=${id}>${title}</h2><button class="iconbutton" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button></header>
    ${children}</dialog>`;
}

/** @typedef {{title: string, view: (close: (answer?: any) => void) => any, resolve: (answer: any) => void, wide?: boolean}} Asked */
/** @type {import("./store.js").Store<Asked | null>} */
const asked = store(null);

/**
 * Opens a dialog and waits for what it is closed with; undefined where it was cancelled.
 * @param {string} title
 * @param {(close: (answer?: any) => void) => any} view
 * @param {{wide?: boolean}} [how]
 * @returns {Promise<any>}
 */
export function ask(title, view, { wide = false } = {}) {
  return new Promise((resolve) => asked.set({ title, view, resolve, wide }));
}

export function Dialogs() {
  const it = useStore(asked);
  if (!it) return null;
  const close = (/** @type {any} */ answer) => {
    asked.set(null);
    it.resolve(answer);
  };
  return html`<${Dialog} key=${it.title} title=${it.title} wide=${it.wide} onClose=${() => close(undefined)}>${it.view(close)}<//>`;
}

/**
 * Asks whether to do it.
 * @param {string} title @param {any} text @param {string} yes
 * @param {{danger?: boolean}} [how]
 * @returns {Promise<boolean>}
 */
export const confirm = async (title, text, yes, { danger = false } = {}) =>
  (await ask(title, (close) => html`<div class="body">${text}</div><footer>
    <button class="button" data-first=${danger ? "" : undefined} onClick=${() => close(false)}>Cancel</button>
    <button class=${`button ${danger ? "danger" : "primary"}`} data-first=${danger ? undefined : ""} onClick=${() => close(true)}>${yes}</button></footer>`)) === true;

/**
 * Asks for a line of text. `check` gives what is wrong with it.
 * @param {string} title @param {{label: string, value?: string, yes: string, check?: (text: string) => string, hint?: string}} how
 * @returns {Promise<string | undefined>}
 */
export const askText = (title, how) => ask(title, (close) => html`<${AskText} ...${how} close=${close} />`);

/** @param {any} props */
function AskText({ label, value = "", yes, check = () => "", hint, close }) {
  const [text, setText] = useState(value);
  const [touched, setTouched] = useState(false);
  const wrong = check(text);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    setTouched(true);
    if (!wrong) close(text);
  };
  return html`<form onSubmit=${submit}><div class="body">
    <label class="field"><span>${label}</span><input type="text" data-first value=${text} autocomplete="off" spellcheck="false" aria-invalid=${touched && !!wrong} aria-describedby="asktext-note"
      onInput=${(/** @type {any} */ event) => { setText(event.target.value); setTouched(true); }} /></label>
    <p id="asktext-note" class=${touched && wrong ? "wrong" : "quiet"} role=${touched && wrong ? "alert" : undefined}>${touched && wrong ? wrong : hint}</p></div>
    <footer><button type="button" class="button" onClick=${() => close(undefined)}>Cancel</button><button type="submit" class="button primary">${yes}</button></footer></form>`;
}

/** What is wrong with a name in the pool. @param {string} name */
export function nameProblem(name) {
  if (!name) return "A name is needed.";
  if (name === "." || name === "..") return "This name is not possible.";
  if (name.includes("/")) return "A name cannot hold a slash.";
  if (name.includes("\0")) return "This name is not possible.";
  if (new TextEncoder().encode(name).length > 255) return "The name is too long: at most 255 bytes.";
  return "";
}
