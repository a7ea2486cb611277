// Asks /status.json every second and shows what it says, and how old that is.

import { showApps } from "./apps.js";
import { byId, element, keyed, write } from "./dom.js";
import { age, clock, day } from "./format.js";
import * as history from "./history.js";
import { keep, restore } from "./memory.js";
import { showServers } from "./servers.js";
import { showSplit } from "./split.js";
import { showSummary } from "./summary.js";

const INTERVAL = 1000; // milliseconds from one question to the next
const PATIENCE = 2500; // milliseconds that an answer may take
const OLD = 3000; // milliseconds without an answer after which the page says that it is old

let readings = restore();
let status = null;
let fresh = performance.now(); // when an answer was shown last
let inFront = fresh; // when the page was last brought to the front

const pause = (milliseconds) => new Promise((done) => { setTimeout(done, milliseconds); });
const toFront = () => (document.hidden
  ? new Promise((done) => { document.addEventListener("visibilitychange", done, { once: true }); })
  : null);

// One question after the other, never two at once; none while nobody looks.
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
  const signal = AbortSignal.timeout(PATIENCE);
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
  write(byId("graphs-about"), `Each point tells of the 10 s before it${marked.at(-1) ?? ""}`);
  showApps(history.series(spans, names, now, bounds), now, changes);
  showServers(apps);
  write(byId("build"), `nginx ${build.nginx}, njs ${build.njs}, build ${build.version}`);
}

function showAge() {
  const now = performance.now();
  const old = now - Math.max(fresh, inFront) >= OLD;
  document.body.classList.toggle("old", old);
  write(byId("live"), status ? `${old ? "Old" : "Live"}, ${clock(status.now)}` : "Asking");
  const states = old ? [status ? "old" : "none"] : [];
  for (const { seconds } of keyed(byId("stale"), states, createWarning).values()) {
    write(seconds, age((now - fresh) / 1000));
  }
}

function createWarning(state) {
  // A screen reader says it once: the seconds, which go on, are only for the eye.
  const seconds = element("span", { ariaHidden: "true" });
  const what = state === "old" ? ["Data is ", seconds, " old"] : ["No data yet"];
  const command = (text) => element("code", {}, text);
  const node = element("p", {}, element("b", {}, ...what), ": nginx gives no fresh answer. ",
    command("make status"), " tells what is up, ", command("make repair"),
    " brings it back. This page goes on asking.");
  return { node, seconds };
}

document.addEventListener("visibilitychange", () => { inFront = performance.now(); });
window.addEventListener("pagehide", () => keep(readings));
setInterval(showAge, INTERVAL);
run();
