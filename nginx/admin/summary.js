// The figures of all apps together, and of the requests that reached no app.

import { byId, element, keyed, write } from "./dom.js";
import { duration, errorRate, rate, whole } from "./format.js";
import { SHOWN, UNROUTED, WINDOW, joined, measure, total } from "./history.js";

function createFigure(title) {
  const value = element("dd");
  return { node: element("div", {}, element("dt", {}, title), value), value };
}

/** Show the figures of a status and of the time before it. */
export function showSummary({ now, apps, bounds, unrouted, connections }, spans) {
  byId("summary-section").hidden = !apps.length;
  const lately = total(spans, now - WINDOW, now);
  const all = measure(joined(apps.map(({ name }) => lately.get(name))), bounds);
  const shown = total(spans, now - SHOWN, now).get(UNROUTED);
  const codes = Object.entries(unrouted).filter(([, count]) => count)
    .map(([code, count]) => `${whole(count)} × ${code}`);
  const figures = new Map([
    ["Requests/s", rate(all.rate)],
    ["Errors", errorRate(all.errors)],
    ["Connections", whole(connections.active)],
    ["p50", duration(all.p50)],
    ["p95", duration(all.p95)],
    ["p99", duration(all.p99)],
    ["Unrouted, 5 min", whole(Math.round(measure(shown, bounds).requests))],
    ["Unrouted, total", codes.join(", ") || "0"],
  ]);
  const views = keyed(byId("summary"), figures.keys(), createFigure);
  for (const [title, text] of figures) write(views.get(title).value, text);
}
