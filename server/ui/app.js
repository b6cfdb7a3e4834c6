// @ts-check
// The page: who is there, and which view.
import { html, render, useEffect, useRef, useState } from "./vendor/preact.js";
import { call, get, signInNeeded } from "./api.js";
import { connection, start, stop } from "./live.js";
import { Overview } from "./overview.js";
import { ask, Dialogs, Failure, Icon, say, Toasts } from "./parts.js";
import { failure, health, jobs, me, refresh, stats, status } from "./pool.js";
import { useStore } from "./store.js";

const pages = [
  { at: "", name: "Overview", icon: "overview" },
  { at: "files", name: "Files", icon: "folder" },
  { at: "care", name: "Care", icon: "care" },
  { at: "trash", name: "Trash", icon: "trash" },
];

/** Views that are fetched when they are first looked at. @type {Record<string, () => Promise<any>>} */
const parts = {
  files: () => import("./files.js").then((it) => it.Files),
  file: () => import("./file.js").then((it) => it.FilePage),
  care: () => import("./care.js").then((it) => it.Care),
  trash: () => import("./trash.js").then((it) => it.Trash),
};

/** What is not needed for the first look comes after it. @param {{load: () => Promise<any>, props?: any}} props */
function Later({ load, props = {} }) {
  const [it, setIt] = useState(/** @type {any} */ (null));
  useEffect(() => {
    load().then((view) => setIt({ view }), () => say("A part of the page cannot be loaded: load it again.", { kind: "bad" }));
  }, []);
  return it && html`<${it.view} ...${props} />`;
}

const tray = () => import("./tray.js").then((it) => it.Tray);
const signIn = () => import("./signin.js").then((it) => it.SignIn);

/** What the address asks for. */
function route() {
  const [page = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/");
  let path = "/";
  try {
    path = `/${rest.map(decodeURIComponent).filter(Boolean).join("/")}`;
  } catch {
    // Not an address of ours: the root will do.
  }
  return { page: page in parts ? page : "", path };
}

/** @param {{page: string, path: string}} props */
function View({ page, path }) {
  const [found, setFound] = useState(/** @type {any} */ ({ page: "", view: Overview }));
  const [error, setError] = useState(/** @type {any} */ (null));
  useEffect(() => {
    let isCurrent = true;
    setError(null);
    if (!page) setFound({ page, view: Overview });
    else parts[page]().then((view) => isCurrent && setFound({ page, view }), () => isCurrent && setError({ message: "this part of the page cannot be loaded", hint: "the server may have stopped: try again" }));
    return () => {
      isCurrent = false;
    };
  }, [page]);
  if (error) return html`<${Failure} error=${error} retry=${() => location.reload()} />`;
  if (found.page !== page) return html`<p class="loading">Loading…</p>`;
  return html`<${found.view} path=${path} />`;
}

const themes = ["auto", "light", "dark"];

function Theme() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme || "auto");
  const next = themes[(themes.indexOf(theme) + 1) % themes.length];
  const change = () => {
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("rclonepool.theme", next);
    } catch {
      // It holds for this visit then.
    }
    setTheme(next);
    dispatchEvent(new Event("themechange"));
  };
  const icon = { auto: "auto", light: "sun", dark: "moon" }[theme] || "auto";
  return html`<button class="iconbutton" onClick=${change} aria-label=${`Colours: ${theme}. Change to ${next}`} title=${`Colours: ${theme}`}><${Icon} name=${icon} /></button>`;
}

const keys = [
  ["/", "Search"], ["g then o, f, c, t", "Go to overview, files, care, trash"], ["↑ ↓ Home End", "Move in a list"], ["Enter", "Open"],
  ["Space", "Select; with Shift a range"], ["Ctrl A", "Select all"], ["F2", "Rename"], ["Del", "Delete"], ["Backspace", "One folder up"], ["Esc", "Close, or drop the selection"], ["?", "This list"],
];

const showKeys = () => ask("Keyboard", (close) => html`<div class="body"><dl class="keys">${keys.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl></div><footer><button class="button primary" data-first onClick=${close}>Close</button></footer>`);

let pressed = "";
addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select, dialog")) return;
  if (event.key === "/") {
    event.preventDefault();
    const box = /** @type {HTMLElement | null} */ (document.querySelector("input[type=search]"));
    if (box) box.focus();
    else location.hash = "#/files";
  } else if (event.key === "?") showKeys();
  else if (pressed === "g" && "ofct".includes(event.key)) location.hash = { o: "#/", f: "#/files", c: "#/care", t: "#/trash" }[event.key] || "#/";
  pressed = event.key;
});

function Connection() {
  const state = useStore(connection);
  const words = { live: "Live", connecting: "Connecting…", broken: "Connection lost: trying again…" };
  return html`<span class=${`connection ${state}`} role="status"><i></i><span>${words[state]}</span></span>`;
}

function Pool() {
  const [at, setAt] = useState(route());
  const who = useStore(me);
  const error = useStore(failure);
  const main = useRef(/** @type {any} */ (null));
  const first = useRef(true);
  useEffect(() => {
    const moved = () => setAt(route());
    addEventListener("hashchange", moved);
    // Who moved between the first drawing and now was not heard.
    moved();
    return () => removeEventListener("hashchange", moved);
  }, []);
  useEffect(() => {
    const name = at.page === "file" ? at.path : pages.find((page) => page.at === at.page)?.name;
    document.title = `${name} – rclonepool`;
    // Who cannot see the page change is told by where the focus goes.
    if (!first.current && at.page !== "files") main.current?.focus({ preventScroll: true });
    if (!first.current) scrollTo(0, 0);
    first.current = false;
  }, [at.page, at.path]);
  const leave = async () => {
    await call("DELETE", "session").catch(() => null);
    location.reload();
  };
  const current = at.page === "file" ? "files" : at.page;
  return html`<a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>Skip to the content</a>
    <header class="top"><a class="brand" href="#/"><img src=".rclonepool/ui/icon.svg" alt="" width="28" height="28" /><span>rclonepool</span></a>
      <${Connection} />
      <div class="who">${who.user && html`<span class="quiet user">${who.user}${who.read_only ? " (read only)" : ""}</span>`}
        <button class="iconbutton wideonly" aria-label="Keyboard" title="Keyboard (?)" onClick=${showKeys}><${Icon} name="help" /></button>
        <${Theme} />${who.user && html`<button class="iconbutton" aria-label="Sign out" title="Sign out" onClick=${leave}><${Icon} name="out" /></button>`}</div></header>
    <nav class="pages" aria-label="Pages"><ul>${pages.map((page) => html`<li><a href=${`#/${page.at}`} aria-current=${current === page.at ? "page" : undefined}><${Icon} name=${page.icon} /><span>${page.name}</span></a></li>`)}</ul></nav>
    <main id="main" tabindex="-1" ref=${main}>${error && error.status !== 401 && html`<${Failure} error=${error} retry=${refresh} />`}
      <${View} page=${at.page} path=${at.path} /></main>
    <${Later} load=${tray} />`;
}

function App() {
  const [state, setState] = useState("asking");
  const [error, setError] = useState(/** @type {any} */ (null));
  const needed = useStore(signInNeeded);
  const enter = (/** @type {any} */ who) => {
    signInNeeded.set(false);
    me.set(who);
    setState("in");
    start();
    refresh();
  };
  const look = async () => {
    try {
      enter(await get("me"));
    } catch (problem) {
      if (/** @type {any} */ (problem).status !== 401) {
        setError(problem);
        setTimeout(look, 3000);
      }
    }
  };
  useEffect(() => {
    look();
  }, []);
  useEffect(() => {
    if (!needed) return;
    if (state === "in") say("You were signed out: sign in again.");
    stop();
    for (const one of [me, status, stats, health]) one.set(null);
    jobs.set([]);
  }, [needed]);
  let view = html`<main class="signin"><h1 class="hidden">rclonepool</h1><p class="loading">Loading the pool…</p></main>`;
  if (needed) view = html`<${Later} load=${signIn} props=${{ done: enter }} />`;
  else if (state === "in") view = html`<${Pool} />`;
  else if (error) view = html`<main class="signin"><${Failure} error=${error} retry=${look} /></main>`;
  return html`${view}<${Dialogs} /><${Toasts} />`;
}

const root = /** @type {HTMLElement} */ (document.getElementById("app"));
root.textContent = "";
render(html`<${App} />`, root);
