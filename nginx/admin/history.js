// Readings of /status.json -> what happened between them. Pure: no clock, no document.
//
// A reading is {at, route, changed, apps}: server time in seconds, which route was in force, and
// the counters of each app as one list of numbers. A span is what lies between two readings.

export const SHOWN = 300; // seconds that the graphs show
export const STEP = 5; // seconds between two points of a graph
export const WINDOW = 10; // seconds that a point tells of
export const OBSERVED = 60; // seconds that the observed share rests on, at most
export const UNROUTED = ""; // stands for an app where a request reached none

const REQUESTS = 0;
const ERRORS = 1;
const FAILED_ATTEMPTS = 2;
const BUCKETS = 3;

const sum = (numbers) => numbers.reduce((one, other) => one + other, 0);

function errors(requests) {
  return sum(Object.entries(requests).map(([code, count]) => (code >= "500" ? count : 0)));
}

/** Cut an answer of /status.json down to the reading that is kept of it. */
export function read(status) {
  const apps = new Map([[UNROUTED, [sum(Object.values(status.unrouted))]]]);
  for (const { name, requests, attempts, request_duration } of status.apps) {
    const failed = attempts.connect_failed + attempts.timeout + attempts.error;
    const first = [sum(Object.values(requests)), errors(requests), failed];
    apps.set(name, [...first, ...request_duration.counts]);
  }
  const { version, changed } = status.route;
  return { at: status.now, route: `${version} ${changed}`, changed, apps };
}

/** Add a reading to the earlier ones, and forget those that no graph needs any more. */
export function append(readings, reading) {
  const last = readings.at(-1);
  if (last && reading.at <= last.at) return reading.at === last.at ? readings : [reading];
  const oldest = reading.at - SHOWN - WINDOW - STEP;
  return [...readings.filter(({ at }) => at >= oldest), reading];
}

/** Tell what happened between each two readings, where that can be told. */
export function spans(readings) {
  return readings.slice(1).flatMap((after, index) => between(readings[index], after));
}

function between(before, after) {
  // Somewhere in so long a time is not a time that a graph of minutes could show.
  if (after.at - before.at > OBSERVED) return [];
  const apps = new Map();
  for (const [name, counts] of after.apps) {
    // An app that is new in the route may come with counts of an earlier life.
    if (!before.apps.has(name)) continue;
    const grown = counts.map((count, index) => count - before.apps.get(name)[index]);
    // nginx was restarted: all its counters began anew, at a time that nobody knows.
    if (grown.some((count) => count < 0)) return [];
    apps.set(name, grown);
  }
  const route = before.route === after.route ? after.route : null;
  return [{ from: before.at, to: after.at, route, apps }];
}

/** Add up each app's counts from one time to another; a span counts by its part in between. */
export function total(spans, from, to) {
  const apps = new Map();
  for (const span of spans) {
    const seconds = Math.min(to, span.to) - Math.max(from, span.from);
    if (seconds <= 0) continue;
    const part = seconds / (span.to - span.from);
    for (const [name, counts] of span.apps) {
      const grown = { seconds, counts: counts.map((count) => count * part) };
      apps.set(name, add(apps.get(name), grown));
    }
  }
  return apps;
}

function add(one, other) {
  if (!one) return other;
  const counts = one.counts.map((count, index) => count + other.counts[index]);
  return { seconds: one.seconds + other.seconds, counts };
}

/**
 * Count the requests that the observed share rests on: of the last minute, and only since the
 * route changed. Returns {since, requests, of}: server time, their number, and that of each app.
 */
export function observed(spans, last) {
  const from = last.at - OBSERVED;
  const counted = spans.filter((one) => one.route === last.route && one.from + one.to > 2 * from);
  const of = new Map();
  for (const { apps } of counted) {
    for (const [name, counts] of apps) {
      if (name !== UNROUTED) of.set(name, (of.get(name) ?? 0) + counts[REQUESTS]);
    }
  }
  return { since: counted.at(0)?.from ?? last.at, requests: sum([...of.values()]), of };
}

/**
 * Estimate a quantile as Prometheus's histogram_quantile does: linear within a bucket.
 * Counts are not cumulative, the last is above the last bound. Null if nothing was counted.
 */
export function quantile(q, counts, bounds) {
  let rank = q * sum(counts);
  if (rank <= 0) return null;
  for (const [index, bound] of bounds.entries()) {
    const lower = index ? bounds[index - 1] : 0;
    if (rank <= counts[index]) return lower + (bound - lower) * (rank / counts[index]);
    rank -= counts[index];
  }
  return bounds.at(-1);
}

/** Express a total as {rate, errors, p50, p95, p99, failed}; null where there is nothing to tell. */
export function measure(grown, bounds) {
  const { seconds, counts } = grown ?? { seconds: 0, counts: [0, 0, 0] };
  const [requests, buckets] = [counts[REQUESTS], counts.slice(BUCKETS)];
  return {
    rate: seconds ? requests / seconds : null,
    errors: requests ? counts[ERRORS] / requests : null,
    p50: quantile(0.5, buckets, bounds),
    p95: quantile(0.95, buckets, bounds),
    p99: quantile(0.99, buckets, bounds),
    requests,
    failed: counts[FAILED_ATTEMPTS],
  };
}

/** Join the totals of several apps into one. */
export function joined(totals) {
  const every = totals.filter(Boolean);
  if (!every.length) return undefined;
  return { ...every.reduce(add), seconds: Math.max(...every.map(({ seconds }) => seconds)) };
}

/** Measure every app at each step of the time shown, and now: name -> [{at, rate, ...}]. */
export function series(spans, names, now, bounds) {
  const steps = Array.from({ length: SHOWN / STEP }, (_, ago) => (Math.floor(now / STEP) - ago) * STEP);
  const times = [...new Set([now, ...steps])].reverse();
  const totals = times.map((at) => total(spans, at - WINDOW, at));
  const points = (name) => times.map((at, i) => ({ at, ...measure(totals[i].get(name), bounds) }));
  return new Map(names.map((name) => [name, points(name)]));
}

/** List the changes of the route that fall into the time shown. */
export function changes(readings, now) {
  return [...new Set(readings.map(({ changed }) => changed))].filter((at) => at > now - SHOWN);
}
