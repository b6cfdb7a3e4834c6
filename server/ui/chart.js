// @ts-check
// Throughput of the last minutes.
import { html, useEffect, useRef } from "./vendor/preact.js";
import { bytes, speed } from "./format.js";

/** @type {Promise<any> | null} */
let loading = null;

/** The chart library: large beside the page, so it comes after the first paint. */
function library() {
  loading ||= new Promise((resolve, reject) => {
    const at = (/** @type {string} */ name) => new URL(`vendor/${name}`, import.meta.url).href;
    const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: at("uplot.css") });
    const script = Object.assign(document.createElement("script"), { src: at("uplot.js") });
    script.onload = () => resolve(/** @type {any} */ (globalThis).uPlot);
    script.onerror = () => {
      loading = null;
      reject(new Error("the chart cannot be loaded"));
    };
    document.head.append(style, script);
  });
  return loading;
}

const lines = [
  { key: "uploaded", label: "Into the pool", colour: "--chart1", fill: true },
  { key: "downloaded", label: "Out of the pool", colour: "--chart2", fill: true },
  { key: "written", label: "Written to remotes", colour: "--chart3", fill: false },
  { key: "read", label: "Read from remotes", colour: "--chart4", fill: false },
];

/** Steps of the axis that are whole in the units they are told in. */
const steps = [0, 1, 2, 3, 4].flatMap((power) => [1, 2, 5, 10, 20, 50, 100, 200, 500].map((n) => n * 1024 ** power));

/** Five minutes, whatever is known of them. @param {any[]} samples */
function data(samples) {
  const now = samples.length ? samples[samples.length - 1].time_ms / 1000 : Date.now() / 1000;
  const shown = samples.filter((one) => one.time_ms / 1000 > now - 300);
  return [shown.map((one) => one.time_ms / 1000), ...lines.map((line) => shown.map((one) => one[line.key]))];
}

/** @param {any} uPlot @param {HTMLElement} box */
function make(uPlot, box) {
  const style = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  const axis = { stroke: colour("--quiet"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" };
  return new uPlot({
    width: box.clientWidth, height: 200, legend: { show: false }, cursor: { show: false },
    scales: {
      x: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ max) => [(max || Date.now() / 1000) - 300, max || Date.now() / 1000] },
      y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ max) => [0, Math.max(1024, (max || 0) * 1.1)] },
    },
    axes: [
      { ...axis, size: 30, space: 70, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((time) => new Date(time * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" })) },
      { ...axis, size: 74, space: 34, incrs: steps, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((n) => (n ? `${bytes(n)}/s` : "0")) },
    ],
    series: [{}, ...lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: line.fill ? 2 : 1, dash: line.fill ? undefined : [4, 3], fill: line.fill ? `${colour(line.colour)}22` : undefined, points: { show: false } }))],
  }, data([]), box);
}

/** @param {{samples: any[]}} props */
export function Chart({ samples }) {
  const box = useRef(/** @type {any} */ (null));
  const plot = useRef(/** @type {any} */ (null));
  const latest = useRef(samples);
  latest.current = samples;
  useEffect(() => {
    let isHere = true;
    const draw = () => library().then((uPlot) => {
      if (!isHere) return;
      plot.current?.destroy();
      plot.current = make(uPlot, box.current);
      plot.current.setData(data(latest.current));
    }, () => null);
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: box.current.clientWidth, height: 200 }));
    const dark = matchMedia("(prefers-color-scheme: dark)");
    resize.observe(box.current);
    addEventListener("themechange", draw);
    dark.addEventListener("change", draw);
    draw();
    return () => {
      isHere = false;
      resize.disconnect();
      removeEventListener("themechange", draw);
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, []);
  useEffect(() => plot.current?.setData(data(samples)), [samples]);
  const last = samples[samples.length - 1] || {};
  const peak = Math.max(0, ...samples.map((one) => Math.max(one.uploaded, one.downloaded)));
  return html`<section class="card throughput" aria-labelledby="throughput"><h2 id="throughput">Throughput</h2>
    <div class="plot" ref=${box} role="img" aria-label=${`The last five minutes: at most ${speed(peak)}, now ${speed(last.uploaded || 0)} into the pool and ${speed(last.downloaded || 0)} out of it`}></div>
    <ul class="legend small">${lines.map((line, at) => html`<li><i class=${`line${at + 1}`}></i>${line.label} <b data-rate=${line.key}>${speed(last[line.key] || 0)}</b></li>`)}</ul></section>`;
}
