// Readings of /status.json, and the differences between them. Uses neither a clock nor the document.
//
// A reading is {at, route, changed, apps}: server time in seconds, the version of the route, the time
// of its last change, and the counters of each app as a list. A span is the time between two readings.

export const SHOWN = 300; // seconds that the graphs show
export const STEP = 5; // seconds between two points of a graph
export const WINDOW = 10; // seconds before a point that its values cover
export const OBSERVED = 60; // seconds that the observed share covers at most
export const UNROUTED = ""; // in place of an app, for requests that reached none

const REQUESTS = 0;
const ERRORS = 1;
const FAILED_ATTEMPTS = 2;
const BUCKETS = 3;

const sum = (numbers) => numbers.reduce((one, other) => one + other, 0);

function errors(requests) {
  return sum(Object.entries(requests).map(([code, count]) => (code >= "500" ? count : 0)));
}

/** Convert a response of /status.json to a reading. */
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

/** Append a reading, and remove those that no graph needs any more. */
export function append(readings, reading) {
  const last = readings.at(-1);
  if (last && reading.at <= last.at) return reading.at === last.at ? readings : [reading];
  const oldest = reading.at - SHOWN - WINDOW - STEP;
  return [...readings.filter(({ at }) => at >= oldest), reading];
}

/** Return the span between each two readings, except where the difference is unknown. */
export function spans(readings) {
  return readings.slice(1).flatMap((after, index) => between(readings[index], after));
}

function between(before, after) {
  // Too long for a graph of minutes: the requests may have come at any time in it.
  if (after.at - before.at > OBSERVED) return [];
  const apps = new Map();
  for (const [name, counts] of after.apps) {
    // An app that was added to the route may have counters from an earlier time.
    if (!before.apps.has(name)) continue;
    const grown = counts.map((count, index) => count - before.apps.get(name)[index]);
    // nginx was restarted: all counters were reset at an unknown time.
    if (grown.some((count) => count < 0)) return [];
    apps.set(name, grown);
  }
  const route = before.route === after.route ? after.route : null;
  return [{ from: before.at, to: after.at, route, apps }];
}

/** Sum the counts of each app between two times; a span counts by its fraction between them. */
export function total(spans, from, to) {
  const apps = new Map();
  for (const span of spans) {
    const seconds = Math.min(to, span.to) - Math.max(from, span.from);
    if (seconds <= 0) continue;
    const fraction = seconds / (span.to - span.from);
    for (const [name, counts] of span.apps) {
      const grown = { seconds, counts: counts.map((count) => count * fraction) };
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
 * Count the requests of the observed share: those of the last minute, but only since the last change
 * of the route. Returns {since, requests, of}: server time, their number, and the number of each app.
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
 * Estimate a quantile as Prometheus's histogram_quantile does: linearly within a bucket. Counts are
 * not cumulative; the last one is above all bounds. Returns null without any counts.
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

/** Convert a total to {rate, errors, p50, p95, p99, ...}; null where there were no requests. */
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

/** Sum the totals of several apps. */
export function joined(totals) {
  const every = totals.filter(Boolean);
  if (!every.length) return undefined;
  return { ...every.reduce(add), seconds: Math.max(...every.map(({ seconds }) => seconds)) };
}

/** Measure every app at each step of the shown time, and now: name -> [{at, rate, ...}]. */
export function series(spans, names, now, bounds) {
  const steps = Array.from({ length: SHOWN / STEP }, (_, ago) => (Math.floor(now / STEP) - ago) * STEP);
  const times = [...new Set([now, ...steps])].reverse();
  const totals = times.map((at) => total(spans, at - WINDOW, at));
  const points = (name) => times.map((at, i) => ({ at, ...measure(totals[i].get(name), bounds) }));
  return new Map(names.map((name) => [name, points(name)]));
}

/** List the times at which the route changed within the shown time. */
export function changes(readings, now) {
  return [...new Set(readings.map(({ changed }) => changed))].filter((at) => at > now - SHOWN);
}
