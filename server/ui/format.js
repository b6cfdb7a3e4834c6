// @ts-check
// Numbers, times and states in words.

const number = new Intl.NumberFormat("en");
const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** @param {number} n */
export const count = (n) => number.format(n);

/**
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

/** @param {number | null | undefined} n */
export function bytes(n) {
  if (n === null || n === undefined) return "–";
  let at = 0;
  let value = n;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** @param {number} perSecond */
export const speed = (perSecond) => `${bytes(Math.max(0, Math.round(perSecond)))}/s`;

/** @param {number} seconds */
export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const today = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** @param {string | undefined | null} text */
export function when(text) {
  if (!text) return "–";
  const at = new Date(text);
  return at.toDateString() === new Date().toDateString() ? today.format(at) : day.format(at);
}

/** @param {string | undefined | null} text */
export const exactly = (text) => (text ? full.format(new Date(text)) : "–");

/** @param {number} ms */
export const latency = (ms) => (ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

/** @param {string[]} names */
export function listed(names) {
  if (names.length < 2) return names.join("");
  return `${names.slice(0, -1).join(", ")} and ${names[names.length - 1]}`;
}

/** What a remote is called: without the colon that rclone's names end with. @param {string} name */
export const remoteName = (name) => {
  const plain = name.replace(/:$/, "");
  const last = plain.split("/").filter(Boolean).pop();
  return plain.startsWith("/") && last ? last : plain;
};

/** @param {string} mode */
export function redundancy(mode) {
  let found = /^parity:(\d+)\+(\d+)$/.exec(mode);
  if (found) return `any ${found[1]} of ${Number(found[1]) + Number(found[2])} shards give the data back`;
  found = /^replication:(\d+)$/.exec(mode);
  if (found) return `${found[1]} copies of everything`;
  found = /^hybrid:(\d+)\+(\d+)x(\d+)$/.exec(mode);
  if (found) return `parity ${found[1]}+${found[2]}, each shard ${found[3]} times`;
  return "none: each byte lies on one remote";
}

/**
 * What the pool's health is, in one word and one sentence, and what to do.
 * @param {any} health as GET /health gives it
 * @param {number} tolerated how many losses new files survive
 * @returns {{state: "good" | "warn" | "bad", word: string, sentence: string, action: string}}
 */
export function healthOf(health, tolerated) {
  const { files } = health;
  const total = files.healthy + files.degraded + files.at_risk + files.unavailable + files.lost;
  const offline = health.remotes.filter((/** @type {any} */ r) => r.online === false).map((/** @type {any} */ r) => remoteName(r.name));
  const gone = offline.length ? ` ${listed(offline)} ${offline.length === 1 ? "is" : "are"} offline.` : "";
  const any = (/** @type {number} */ n) => (n === 1 ? "any 1 remote" : `any ${n} remotes`);
  const all = total === 1 ? "The one file" : `All ${count(total)} files`;
  const s = total === 1 ? "s" : "";
  const mend = health.shards.missing + health.shards.truncated + health.shards.corrupt > 0 ? "rebuild" : "";
  if (files.lost > 0) {
    const verb = files.lost === 1 ? "is" : "are";
    return { state: "bad", word: "Damaged", action: "repair", sentence: `${plural(files.lost, "file")} ${verb} lost: too many shards are gone.${gone}` };
  }
  if (files.unavailable > 0) {
    return { state: "bad", word: "Unavailable", action: "offline", sentence: `${plural(files.unavailable, "file")} cannot be read until remotes return.${gone}` };
  }
  if (files.at_risk > 0) {
    return { state: "bad", word: "At risk", action: mend || "offline", sentence: `${plural(files.at_risk, "file")} at risk: readable now, and the loss of one more remote would lose ${files.at_risk === 1 ? "it" : "them"}.${gone}` };
  }
  if (files.degraded > 0) {
    return { state: "warn", word: "Degraded", action: mend || "offline", sentence: `${all} can be read; ${count(files.degraded)} of them lack${files.degraded === 1 ? "s" : ""} some redundancy.${gone}` };
  }
  if (offline.length) return { state: "warn", word: "Degraded", action: "offline", sentence: `All that is known can be read.${gone}` };
  if (total === 0) {
    return { state: "good", word: "Healthy", action: "", sentence: tolerated > 0 ? `The pool is empty. What you put in survives the loss of ${any(tolerated)}.` : "The pool is empty. It has no redundancy: a remote that is lost takes its files with it." };
  }
  if (health.tolerated_remotes > 0) {
    return { state: "good", word: "Healthy", action: "", sentence: `${all} survive${s} the loss of ${any(health.tolerated_remotes)}.` };
  }
  return { state: "warn", word: "No redundancy", action: "", sentence: `${all} ${total === 1 ? "is" : "are"} whole, and lost with the remote ${total === 1 ? "it lies" : "they lie"} on: there is no redundancy.` };
}
