// Graphs of each app: requests, errors and durations, with the same figures as a table.

import { byId, element, keyed, write } from "./dom.js";
import { clock, duration, errorRate, rate, whole } from "./format.js";
import { createGraph, linear, logarithmic } from "./graphs.js";

const TIMES = ["p50", "p95", "p99"];
const short = (value) => String(Number(value.toPrecision(3)));

const FIGURES = [
  {
    title: "Requests per second", keys: ["rate"], names: ["requests/s"], format: rate,
    scale: (values) => linear(Math.max(1, ...values)), tick: short,
  },
  {
    title: "Error rate", keys: ["errors"], names: ["errors"], format: errorRate,
    scale: (values) => linear(Math.max(0.01, ...values)),
    tick: (value) => `${short(value * 100)} %`,
  },
  {
    title: "Response times", keys: TIMES, names: TIMES, format: duration,
    scale: (values) => logarithmic([0.001, ...values]),
    tick: (value) => (value < 1 ? `${short(value * 1000)} ms` : `${short(value)} s`),
  },
];
const COLUMNS = FIGURES.flatMap(({ keys, names, format }) => (
  keys.map((key, index) => ({ key, name: names[index], format }))));

function createFigure({ keys, names }) {
  const graph = createGraph(keys);
  const values = keys.map(() => element("b"));
  graph.caption.append(...keys.map((key, index) => element("span", { className: key },
    element("i", { className: "sample" }), values[index], ` ${names[index]}`)));
  return { ...graph, values };
}

function createTable(app) {
  const head = COLUMNS.map(({ name }) => element("th", { scope: "col", className: "number" }, name));
  head.unshift(element("th", { scope: "col" }, "time"));
  const rows = element("tbody");
  const caption = element("caption", { className: "unseen" }, `${app} over the last 5 minutes`);
  const table = element("table", {}, caption, element("thead", {}, element("tr", {}, ...head)), rows);
  // A scrolling region must be reachable by keyboard.
  const node = element("div", { className: "scroll", tabIndex: 0, role: "region", hidden: true });
  node.ariaLabel = `Table of ${app}`;
  node.append(table);
  return { node, rows };
}

function createRow(point) {
  const cells = COLUMNS.map(({ key, format }) => (
    element("td", { className: "number" }, format(point[key]))));
  return { node: element("tr", {}, element("th", { scope: "row" }, clock(point.at)), ...cells) };
}

function createApp(name) {
  const figures = FIGURES.map(createFigure);
  const { node: table, rows } = createTable(name);
  const failed = element("p", { className: "bad" });
  const button = element("button", { type: "button", ariaExpanded: "false" }, "Table");
  button.append(element("span", { className: "unseen" }, ` of ${name}`));
  const who = element("div", { className: "who" }, element("h3", {}, name), button, failed);
  const node = element("article", {}, who, ...figures.map((figure) => figure.node), table);
  const app = { node, figures, failed, fill, points: [] };

  // Rows do not change once written, so that they can be read; new rows come at the top.
  function fill() {
    if (table.hidden) return;
    const known = app.points.slice(0, -1).filter(({ rate }) => rate !== null).reverse();
    const steps = new Map(known.map((point) => [point.at, point]));
    keyed(rows, steps.keys(), (at) => createRow(steps.get(at)));
  }
  button.addEventListener("click", () => {
    table.hidden = !table.hidden;
    button.ariaExpanded = String(!table.hidden);
    fill();
  });
  return app;
}

/** Show the graphs of the apps; `every` is name -> points, as history.series returns them. */
export function showApps(every, now, changes) {
  byId("graphs-section").hidden = !every.size;
  const points = [...every.values()].flat();
  // One scale for all apps, so that their graphs can be compared.
  const scales = FIGURES.map(({ keys, scale }) => {
    const values = points.flatMap((point) => keys.map((key) => point[key]));
    return scale(values.filter((value) => value !== null));
  });

  const apps = keyed(byId("graphs"), every.keys(), createApp);
  for (const [name, own] of every) {
    const app = apps.get(name);
    const last = own.at(-1);
    FIGURES.forEach(({ title, keys, names, format, tick }, index) => {
      const { values, update } = app.figures[index];
      const texts = keys.map((key) => format(last[key]));
      texts.forEach((text, line) => write(values[line], text));
      const all = texts.map((text, line) => `${text} ${names[line]}`).join(", ");
      const label = `${title} of ${name}, now ${all}`;
      update({ points: own, scale: scales[index], tick, now, changes, label });
    });
    write(app.failed, last.failed >= 0.5 ? `▲ ${whole(last.failed)} failed attempts` : "");
    app.points = own;
    app.fill();
  }
}
