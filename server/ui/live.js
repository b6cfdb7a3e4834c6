// @ts-check
// What happens, as it happens: the WebSocket, which is opened again whenever it breaks.
import { base } from "./api.js";
import { store } from "./store.js";

const topics = ["upload_progress", "download_progress", "verification", "health", "rebalance", "throughput"];
/** The server sends throughput every two seconds: silence means that nobody is there. */
const silence = 15_000;
/** What ended stays in sight for so long. */
const kept = 8_000;

/** @typedef {{key: string, id: number, direction: "upload" | "download", path: string, state: string, bytes: number,
 *   total: number | null, error: string | null, speed: number, at: number, since: number}} Transfer */

/** "connecting", "live" or "broken". @type {import("./store.js").Store<string>} */
export const connection = store("connecting");
/** @type {import("./store.js").Store<Transfer[]>} */
export const transfers = store([]);
/** @type {import("./store.js").Store<any[]>} */
export const samples = store([]);

/** @type {Map<string, Set<(data: any) => void>>} */
const listeners = new Map();

/**
 * Hears of a topic, or of "connected": after it, what was missed has to be asked for.
 * @param {string} topic
 * @param {(data: any) => void} listener
 */
export function on(topic, listener) {
  const set = listeners.get(topic) || new Set();
  listeners.set(topic, set.add(listener));
  return () => set.delete(listener);
}

function tell(/** @type {string} */ topic, /** @type {any} */ data) {
  for (const listener of listeners.get(topic) || []) listener(data);
}

/** @type {WebSocket | null} */
let socket = null;
let wait = 500;
/** @type {any} */
let retry = 0;
let heard = 0;
let wanted = false;

export function start() {
  wanted = true;
  if (socket) return;
  clearTimeout(retry);
  const url = new URL(".rclonepool/ws", base);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const opened = new WebSocket(url);
  socket = opened;
  opened.onopen = () => {
    heard = Date.now();
    for (const topic of topics) opened.send(JSON.stringify({ action: "subscribe", topic }));
    wait = 500;
    connection.set("live");
    tell("connected", null);
  };
  opened.onmessage = (event) => {
    heard = Date.now();
    const message = JSON.parse(event.data);
    if (message.type === "lost") tell("connected", null);
    if (message.topic && message.data) receive(message.topic, message.data, message.time);
  };
  opened.onclose = () => {
    if (socket !== opened) return;
    socket = null;
    if (!wanted) return;
    connection.set("broken");
    retry = setTimeout(start, wait * (0.75 + Math.random() / 2));
    wait = Math.min(wait * 2, 15_000);
    // Whether it is because one was signed out, the next request tells.
    tell("broken", null);
  };
}

export function stop() {
  wanted = false;
  clearTimeout(retry);
  socket?.close();
  socket = null;
  connection.set("connecting");
}

setInterval(() => {
  if (socket?.readyState === WebSocket.OPEN && Date.now() - heard > silence) {
    const dead = socket;
    dead.onclose?.(/** @type {any} */ ({}));
    dead.close();
  }
  const now = Date.now();
  const left = transfers.get().filter((t) => t.state === "running" || now - t.at < kept);
  if (left.length !== transfers.get().length) transfers.set(left);
}, 2000);

for (const wake of ["online", "focus"]) {
  addEventListener(wake, () => {
    if (wanted && !socket) start();
  });
}

/** @param {string} topic @param {any} data @param {string} time */
function receive(topic, data, time) {
  if (topic === "throughput") samples.update((all) => [...all.slice(-149), data]);
  if ((topic === "upload_progress" || topic === "download_progress") && !data.job) {
    transferred(topic === "upload_progress" ? "upload" : "download", data, Date.parse(time));
  }
  if (data.job) tell("job", data);
  tell(topic, data);
}

/** @param {"upload" | "download"} direction @param {any} data @param {number} at */
function transferred(direction, data, at) {
  const key = `${direction} ${data.id}`;
  const known = transfers.get().find((t) => t.key === key);
  const state = data.state === "started" ? "running" : data.state;
  let rate = known ? known.speed : 0;
  if (known && at > known.at) {
    const now = ((data.bytes - known.bytes) * 1000) / (at - known.at);
    rate = known.speed ? known.speed * 0.7 + now * 0.3 : now;
  }
  /** @type {Transfer} */
  const next = {
    key, id: data.id, direction, path: data.path, state, bytes: data.bytes, total: data.bytes_total,
    error: data.error, speed: rate, at: state === "running" ? at : Date.now(), since: known ? known.since : at,
  };
  transfers.update((all) => (known ? all.map((t) => (t.key === key ? next : t)) : [next, ...all].slice(0, 60)));
}
