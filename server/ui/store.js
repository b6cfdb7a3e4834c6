// @ts-check
// A value that views watch.
import { useLayoutEffect, useState } from "./vendor/preact.js";

/**
 * @template T
 * @typedef {{get: () => T, set: (value: T) => void, update: (change: (value: T) => T) => void,
 *   watch: (listener: () => void) => () => void}} Store
 */

/**
 * @template T
 * @param {T} value
 * @returns {Store<T>}
 */
export function store(value) {
  const listeners = new Set();
  const set = (/** @type {T} */ next) => {
    if (Object.is(next, value)) return;
    value = next;
    for (const listener of [...listeners]) listener();
  };
  return {
    get: () => value,
    set,
    update: (change) => set(change(value)),
    watch: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/**
 * The value, in a component that is drawn anew when it changes.
 * @template T
 * @param {Store<T>} of
 * @returns {T}
 */
export function useStore(of) {
  const [, redraw] = useState(0);
  const value = of.get();
  useLayoutEffect(() => {
    const off = of.watch(() => redraw((n) => n + 1));
    // It may have changed after it was drawn, and before anybody watched.
    if (!Object.is(of.get(), value)) redraw((n) => n + 1);
    return off;
  }, [of]);
  return value;
}
