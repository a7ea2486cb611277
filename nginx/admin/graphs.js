// A small graph of the last minutes. Lines are SVG, which stretches; labels are HTML, which does not.

import { element, keyed, svg, write } from "./dom.js";
import { clock, minute } from "./format.js";
import { SHOWN } from "./history.js";

/** A scale from 0 to a round number at or above `largest`; `at` returns 0 (bottom) to 1 (top). */
export function linear(largest) {
  const power = 10 ** Math.floor(Math.log10(largest));
  // A rounding error of floats must not make the scale jump to the next round number.
  const end = [1, 2, 4, 6, 8, 10].find((times) => largest <= times * power * 1.000001) * power;
  return { ticks: [0, end / 2, end], at: (value) => value / end };
}

/** A scale in powers of ten around these values, which are all above 0. */
export function logarithmic(values) {
  const low = Math.floor(Math.log10(Math.min(...values)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values))));
  const ticks = Array.from({ length: high - low + 1 }, (_, index) => 10 ** (low + index));
  return { ticks, at: (value) => (Math.log10(value) - low) / (high - low) };
}

/** Split points into runs without a gap: lists of [x, y], in seconds and percent from the top. */
export function runs(points, key, scale, now) {
  const found = [[]];
  for (const point of points) {
    if (point[key] === null) found.push([]);
    else found.at(-1).push([SHOWN - now + point.at, 100 - 100 * scale.at(point[key])]);
  }
  return found.filter((run) => run.length);
}

const path = (run) => `M${run.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L")}`;
// A single point is a line of length 0, which round caps draw as a dot.
const stroke = (run) => path(run) + (run.length > 1 ? "" : "h0");
const area = (run) => `${path(run)}V100H${run[0][0].toFixed(1)}Z`;

/** A line across the plot with a label; the caller sets its position. */
function createMark(className, text) {
  return { node: element("span", { className }, element("small", {}, text)) };
}

/** Create a graph with a line for each of these keys of a point; the caller fills the caption. */
export function createGraph(keys) {
  const fill = svg("path", { class: `area ${keys[0]}` });
  const lines = keys.map((key) => svg("path", { class: `line ${key}` }));
  const box = { viewBox: `0 0 ${SHOWN} 100`, preserveAspectRatio: "none", "aria-hidden": "true" };
  const [grid, minutes, marks, nothing] = ["div", "div", "div", "p"].map((tag) => element(tag));
  const plot = element("div", { className: "plot", role: "img" });
  plot.append(grid, minutes, svg("svg", box, fill, ...lines), marks, nothing);
  const caption = element("figcaption");

  function update({ points, scale, tick, now, changes, label }) {
    plot.ariaLabel = label;
    const every = keys.map((key) => runs(points, key, scale, now));
    lines.forEach((line, index) => line.setAttribute("d", every[index].map(stroke).join("")));
    if (keys.length === 1) fill.setAttribute("d", every[0].map(area).join(""));
    write(nothing, every.some((found) => found.length) ? "" : "no requests in this time");

    const ticks = new Map(scale.ticks.map((value) => [tick(value), scale.at(value)]));
    for (const [text, { node }] of keyed(grid, ticks.keys(), (text) => createMark("tick", text))) {
      node.style.bottom = `${ticks.get(text) * 100}%`;
    }
    const ends = Array.from({ length: SHOWN / 60 }, (_, ago) => (Math.floor(now / 60) - ago) * 60);
    const at = [
      ...keyed(minutes, ends, (time) => createMark("minute", minute(time))),
      ...keyed(marks, changes, (time) => createMark("change", `route ${clock(time)}`)),
    ];
    for (const [time, { node }] of at) {
      node.style.left = `${((SHOWN - now + time) / SHOWN) * 100}%`;
      node.classList.toggle("late", time > now - SHOWN / 2);
    }
  }
  return { node: element("figure", {}, caption, plot), caption, update };
}
