// @ts-check
// REST: requests, and failures in words.
import { store } from "./store.js";

export const base = document.baseURI;
const api = new URL(".rclonepool/api/v1/", base).href;

/** Whether one has to sign in first. @type {import("./store.js").Store<boolean>} */
export const signInNeeded = store(false);

/** What failed, why, and what to do. */
export class Problem extends Error {
  /** @param {{status?: number, code?: string, detail?: string, title?: string, hint?: string, remote?: string, path?: string}} it */
  constructor(it) {
    super(it.detail || it.title || "the request failed");
    this.status = it.status || 0;
    this.code = it.code || "";
    this.hint = it.hint || "";
    this.remote = it.remote || "";
    this.path = it.path || "";
  }
}

export const unreachable = () =>
  new Problem({ code: "unreachable", detail: "the server cannot be reached", hint: "it may have stopped, or the network is down; this page tries again by itself" });

/** @param {number} status @param {string} text */
export function problemOf(status, text) {
  try {
    return new Problem({ status, ...JSON.parse(text) });
  } catch {
    return new Problem({ status, detail: `the server answered ${status}`, hint: status >= 500 ? "try again; its log says more" : "" });
  }
}

/** The address of something of the API. @param {string} to */
export const address = (to) => api + to;

/** The address of a path below `files/`: its slashes are encoded, as a file may be called "content". @param {string} path */
export const fileAddress = (path, part = "") => `files/${encodeURIComponent(path.slice(1))}${part && `/${part}`}`;

/** The address of a file's bytes. @param {string} path */
export const contentUrl = (path) => address(fileAddress(path, "content"));

/** A file's own address, for sharing. @param {string} path */
export const publicUrl = (path) => new URL(path.slice(1).split("/").map(encodeURIComponent).join("/"), base).href;

/**
 * @param {string} method
 * @param {string} to
 * @param {unknown} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function call(method, to, body, signal) {
  let response;
  try {
    response = await fetch(address(to), {
      method,
      signal,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable();
  }
  const text = await response.text();
  if (!response.ok) {
    const problem = problemOf(response.status, text);
    if (response.status === 401 && to !== "session") signInNeeded.set(true);
    throw problem;
  }
  return text ? JSON.parse(text) : null;
}

export const get = (/** @type {string} */ to, /** @type {AbortSignal} */ signal = undefined) => call("GET", to, undefined, signal);
export const post = (/** @type {string} */ to, /** @type {unknown} */ body = {}) => call("POST", to, body);

/** @param {Record<string, string | number | boolean | undefined | null>} values */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set.map(([key, value]) => [key, String(value)]))}` : "";
}

/** The directory a path lies in. @param {string} path */
export const parent = (path) => path.slice(0, path.lastIndexOf("/")) || "/";
/** @param {string} path */
export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
/** @param {string} directory @param {string} name */
export const join = (directory, name) => (directory === "/" ? `/${name}` : `${directory}/${name}`);
