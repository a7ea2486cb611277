// Reads /status.json every second and shows it, and the age of the data.

import { showApps } from "./apps.js";
import { byId, element, keyed, write } from "./dom.js";
import { age, clock, day } from "./format.js";
import * as history from "./history.js";
import { keep, restore } from "./memory.js";
import { showServers } from "./servers.js";
import { showSplit } from "./split.js";
import { showSummary } from "./summary.js";

const INTERVAL = 1000; // milliseconds between two requests
const TIMEOUT = 2500; // milliseconds that a response may take
const OLD = 3000; // milliseconds without a response after which the data is shown as old

let readings = restore();
let status = null;
let fresh = performance.now(); // when a response was last shown
let inFront = fresh; // when the page last became visible

const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const toFront = () => (document.hidden
  ? new Promise((done) => { document.addEventListener("visibilitychange", done, { once: true }); })
  : null);

// One request after the other, never two at once; none while the page is hidden.
async function run() {
  for (;;) {
    await toFront();
    const started = performance.now();
    try {
      show(await ask());
      fresh = performance.now();
    } catch (error) {
      console.warn(String(error));
    }
    showAge();
    await pause(INTERVAL - (performance.now() - started));
  }
}

async function ask() {
  const signal = AbortSignal.timeout(TIMEOUT);
  const answer = await fetch("status.json", { cache: "no-store", signal });
  if (!answer.ok) throw new Error(`status.json: ${answer.status}`);
  return answer.json();
}

function show(answer) {
  readings = history.append(readings, history.read(answer));
  status = answer;
  const { apps, now, bounds, build, route } = status;
  const spans = history.spans(readings);
  const changes = history.changes(readings, now);
  const names = apps.map(({ name }) => name);

  write(byId("route"), route.version
    ? `Route ${route.version}, changed ${age(now - route.changed)} ago (${day(route.changed, now)})`
    : "No route yet");
  showSplit(status, history.observed(spans, readings.at(-1)));
  showSummary(status, spans);
  const marked = changes.map((at) => `; a line marks a change of the route, the last at ${clock(at)}`);
  write(byId("graphs-about"), `Each point covers the 10 s before it${marked.at(-1) ?? ""}`);
  showApps(history.series(spans, names, now, bounds), now, changes);
  showServers(apps);
  write(byId("build"), `nginx ${build.nginx}, njs ${build.njs}, build ${build.version}`);
}

function showAge() {
  const now = performance.now();
  const old = now - Math.max(fresh, inFront) >= OLD;
  document.body.classList.toggle("old", old);
  write(byId("live"), status ? `${old ? "Old" : "Live"}, ${clock(status.now)}` : "Connecting");
  const states = old ? [status ? "old" : "none"] : [];
  for (const { seconds } of keyed(byId("stale"), states, createWarning).values()) {
    write(seconds, age((now - fresh) / 1000));
  }
}

function createWarning(state) {
  // A screen reader announces this once: the changing seconds are hidden from it.
  const seconds = element("span", { ariaHidden: "true" });
  const what = state === "old" ? ["Data is ", seconds, " old"] : ["No data yet"];
  const command = (text) => element("code", {}, text);
  const node = element("p", {}, element("b", {}, ...what), ": nginx does not respond. ",
    command("./lb status"), " shows what is wrong, ", command("./lb repair"),
    " fixes it. This page keeps trying.");
  return { node, seconds };
}

document.addEventListener("visibilitychange", () => { inFront = performance.now(); });
window.addEventListener("pagehide", () => keep(readings));
setInterval(showAge, INTERVAL);
run();
