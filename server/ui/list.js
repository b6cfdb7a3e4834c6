// @ts-check
// A long list: only the rows in sight exist.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./vendor/preact.js";
import { contentUrl, parent } from "./api.js";
import { bytes, exactly, when } from "./format.js";
import { iconOf, viewOf } from "./ops.js";
import { Icon } from "./parts.js";

/** @typedef {import("./ops.js").Entry} Entry */

/** Rows kept ready above and below those in sight. */
const spare = 8;

/** The height of the head, in pixels. */
const head = 41;

const columns = [{ key: "name", label: "Name" }, { key: "size", label: "Size" }, { key: "modified", label: "Modified" }];

/** @param {{one: Entry, at: number, height: number, isActive: boolean, isSelected: boolean, here: string, on: any}} props */
function Row({ one, at, height, isActive, isSelected, here, on }) {
  const isFolder = one.kind === "directory";
  const where = parent(one.path);
  return html`<div role="row" class=${`row${isSelected ? " selected" : ""}`} aria-rowindex=${at + 2} aria-selected=${isSelected} tabindex=${isActive ? 0 : -1} data-path=${one.path} data-at=${at}
    style=${{ transform: `translateY(${at * height}px)`, height: `${height}px` }} onClick=${(/** @type {MouseEvent} */ event) => on.click(event, at)} onDblClick=${() => on.open(one)} onFocus=${() => on.focus(at)}>
    <span role="gridcell" class="pick"><label><input type="checkbox" tabindex="-1" checked=${isSelected} aria-label=${`Select ${one.name}`} onClick=${(/** @type {MouseEvent} */ event) => on.pick(event, at)} /></label></span>
    <span role="gridcell" class="name"><${Icon} name=${iconOf(one)} /><span class="two"><a href=${viewOf(one.path, !isFolder)} tabindex="-1" draggable=${false}>${one.name}</a>
      <span class="under">${where !== here ? html`<span class="where">in ${where}</span>` : ""}<span class="phoneonly">${isFolder ? "" : `${bytes(one.size)} · `}${when(one.modified)}</span></span></span></span>
    <span role="gridcell" class="size">${isFolder ? "" : bytes(one.size)}</span>
    <span role="gridcell" class="modified" title=${exactly(one.modified)}>${when(one.modified)}</span>
    <span role="gridcell" class="do">${one.kind === "file" && html`<a class="iconbutton small" tabindex="-1" href=${contentUrl(one.path)} download=${one.name} aria-label=${`Download ${one.name}`} title="Download" onClick=${(/** @type {Event} */ event) => event.stopPropagation()}><${Icon} name="download" /></a>`}</span></div>`;
}

/** @param {{rows: Entry[], order: {key: string, down: boolean}, setOrder: any, selected: Set<string>, setSelected: any, act: any, here: string, label: string, empty: any}} props */
export function List({ rows, order, setOrder, selected, setSelected, act, here, label, empty }) {
  const box = useRef(/** @type {any} */ (null));
  const [view, setView] = useState({ top: 0, height: 600 });
  const [active, setActive] = useState(0);
  const anchor = useRef(0);
  const wantsFocus = useRef(false);
  const narrow = matchMedia("(max-width: 700px)").matches;
  const height = narrow ? 60 : 44;
  const at = Math.min(active, Math.max(0, rows.length - 1));

  /** What can be seen of the rows, below the head that stays. */
  const inSight = () => ({ top: box.current.scrollTop, height: Math.max(height, box.current.clientHeight - head) });
  useLayoutEffect(() => {
    const look = () => setView(inSight());
    const resize = new ResizeObserver(look);
    resize.observe(box.current);
    look();
    return () => resize.disconnect();
  }, []);
  useEffect(() => {
    // Another folder begins at its top.
    box.current.scrollTop = 0;
    setActive(0);
    anchor.current = 0;
  }, [here]);
  useLayoutEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    box.current.querySelector(`[data-at="${at}"]`)?.focus({ preventScroll: true });
  });

  const show = (/** @type {number} */ next) => {
    const to = Math.max(0, Math.min(rows.length - 1, next));
    const seen = inSight();
    if (to * height < seen.top) box.current.scrollTop = to * height;
    else if ((to + 1) * height > seen.top + seen.height) box.current.scrollTop = (to + 1) * height - seen.height;
    wantsFocus.current = true;
    setActive(to);
    setView(inSight());
    return to;
  };
  const range = (/** @type {number} */ to) => {
    const [from, until] = [Math.min(anchor.current, to), Math.max(anchor.current, to)];
    setSelected(new Set(rows.slice(from, until + 1).map((one) => one.path)));
  };
  const toggle = (/** @type {number} */ index) => {
    anchor.current = index;
    const next = new Set(selected);
    const { path } = rows[index];
    if (!next.delete(path)) next.add(path);
    setSelected(next);
  };
  const on = {
    open: act.open,
    focus: setActive,
    click: (/** @type {MouseEvent} */ event, /** @type {number} */ index) => {
      if (/** @type {HTMLElement} */ (event.target).closest("a, label")) return;
      setActive(index);
      if (event.shiftKey) range(index);
      else if (event.ctrlKey || event.metaKey) toggle(index);
      else {
        anchor.current = index;
        setSelected(new Set([rows[index].path]));
      }
    },
    pick: (/** @type {MouseEvent} */ event, /** @type {number} */ index) => {
      event.stopPropagation();
      if (event.shiftKey) range(index);
      else toggle(index);
    },
  };
  const marked = () => {
    const some = rows.filter((one) => selected.has(one.path));
    return some.length ? some : rows[at] ? [rows[at]] : [];
  };
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (/** @type {HTMLElement} */ (event.target).closest("[role=columnheader]") || !rows.length || event.altKey) return;
    const page = Math.max(1, Math.floor(view.height / height) - 1);
    const moves = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: rows.length - 1 };
    if (event.key in moves) {
      const to = show(moves[event.key]);
      if (event.shiftKey) range(to);
      else anchor.current = to;
    } else if (event.key === " ") {
      if (event.shiftKey) range(at);
      else toggle(at);
    } else if (event.key === "Enter") act.open(rows[at]);
    else if (event.key === "F2") act.rename(rows[at]);
    else if (event.key === "Delete") act.remove(marked());
    else if (event.key === "Backspace") act.up();
    else if (event.key === "Escape") setSelected(new Set());
    else if (event.key === "a" && (event.ctrlKey || event.metaKey)) setSelected(new Set(rows.map((one) => one.path)));
    else return;
    event.preventDefault();
  };

  const first = Math.max(0, Math.floor(view.top / height) - spare);
  const last = Math.min(rows.length, Math.ceil((view.top + view.height) / height) + spare);
  const shown = [];
  for (let index = first; index < last; index += 1) shown.push(index);
  // The row with the focus stays, wherever it is: the focus would be lost with it.
  if (rows.length && (at < first || at >= last)) shown.push(at);
  const all = rows.length > 0 && selected.size >= rows.length;
  return html`<div role="grid" class="list card" aria-label=${label} aria-rowcount=${rows.length + 1} aria-colcount="5" aria-multiselectable="true" ref=${box} onScroll=${() => setView(inSight())} onKeyDown=${press}>
    <div role="rowgroup" class="headgroup"><div role="row" class="row head" aria-rowindex="1">
      <span role="columnheader" class="pick"><label><input type="checkbox" checked=${all} aria-label="Select all" disabled=${!rows.length} onClick=${() => setSelected(all ? new Set() : new Set(rows.map((one) => one.path)))} /></label></span>
      ${columns.map(({ key, label: name }) => html`<span role="columnheader" class=${key} aria-sort=${order.key === key ? (order.down ? "descending" : "ascending") : "none"}><button class="plain" onClick=${() => setOrder({ key, down: order.key === key ? !order.down : key !== "name" })}>${name}<i aria-hidden="true">${order.key === key ? (order.down ? "↓" : "↑") : ""}</i></button></span>`)}
      <span role="columnheader" class="do"><span class="hidden">Download</span></span></div></div>
    <div role="rowgroup" class="space" style=${{ height: `${rows.length * height}px` }}>${shown.map((index) => html`<${Row} key=${rows[index].path} one=${rows[index]} at=${index} height=${height} isActive=${index === at} isSelected=${selected.has(rows[index].path)} here=${here} on=${on} />`)}</div></div>${empty && html`<div class="nothing">${empty}</div>`}`;
}
