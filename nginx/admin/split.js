// The split: the configured and the observed share of each app, as numbers and as bars.

import { byId, element, keyed, write } from "./dom.js";
import { age, clock, share, whole } from "./format.js";

const SCALES = [0.1, 0.2, 0.25, 0.5, 1];
const NO_APP = "No apps yet. The first pulumi up adds them; this page then shows them "
  + "without a reload.";
const HOW = "Send some to the address that pulumi stack output url prints.";

// Explicit roles, because in some browsers a table with a grid layout loses its own.
function createRow(name) {
  const cell = (className, ...children) => element("td", { role: "cell", className }, ...children);
  const bars = ["configured", "observed"].map((className) => element("div", { className }));
  const state = element("span", { className: "about-app" });
  const title = element("th", { role: "rowheader", scope: "row" }, element("b", {}, name), " ", state);
  const track = element("div", { className: "track", ariaHidden: "true" }, ...bars);
  const numbers = ["configured", "observed", "requests"].map(() => cell("number"));
  const node = element("tr", { role: "row" }, title, cell("bar", track), ...numbers);
  return { node, bars, state, numbers };
}

/** Show the split of a status; `seen` is the result of history.observed. */
export function showSplit({ apps, now, route }, seen) {
  byId("split").hidden = !apps.length;
  const ever = apps.some(({ requests }) => Object.values(requests).some(Boolean));
  write(byId("split-about"), apps.length ? about(seen, now, route.changed, ever) : NO_APP);

  const counts = apps.map(({ name }) => seen.of.get(name) ?? 0);
  const shares = counts.map((count) => (seen.requests ? count / seen.requests : null));
  const largest = Math.max(...apps.map((app) => app.share), ...shares);
  const scale = SCALES.find((end) => largest <= end) ?? 1;
  write(byId("split-scale"), `${scale * 100} %`);

  const rows = [...keyed(byId("split-apps"), apps.map(({ name }) => name), createRow).values()];
  apps.forEach((app, index) => {
    const { bars, state, numbers } = rows[index];
    bars[0].style.width = `${(app.share / scale) * 100}%`;
    bars[1].style.width = `${(shares[index] / scale) * 100}%`;
    [share(app.share), share(shares[index]), whole(counts[index])].forEach(
      (text, column) => write(numbers[column], text));
    const up = app.servers.filter((server) => server.state === "up").length;
    const bad = up < app.servers.length;
    write(state, `weight ${app.weight}, ${bad ? "▲ " : ""}${up} of ${app.servers.length} up`);
    state.classList.toggle("bad", bad);
  });
}

function about({ since, requests }, now, changed, ever) {
  // The first reading of a new route comes up to two seconds after the change.
  const afterChange = since - changed < 3 && `since the route changed at ${clock(changed)}`;
  const lately = age(Math.max(1, Math.round(now - since)));
  if (requests) {
    const counted = `${whole(requests)} ${requests === 1 ? "request" : "requests"}`;
    return `Observed ${afterChange || `over the last ${lately}`}: ${counted}`;
  }
  if (!ever) return `No requests yet. ${HOW}`;
  return `No requests ${afterChange || `in the last ${lately}`}. ${HOW}`;
}
