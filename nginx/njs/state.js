// The state that /metrics writes as text and /status.json as JSON.

import routing from 'routing.js';
import series from 'series.js';
import servers from 'servers.js';

// Returns the apps of the route, the counters of removed apps (`gone`), and nginx's own state.
async function read(r) {
    const counters = series.read();
    const found = servers.all(r);
    const now = routing.current(r);
    const apps = now.apps;
    const total = apps.reduce((sum, app) => sum + app.weight, 0);
    const routed = apps.map((app) => {
        const counts = counted(counters, app.name);
        counts.weight = app.weight;
        counts.share = total ? app.weight / total : 0;
        counts.servers = found[app.name];
        return counts;
    });
    const known = Object.assign({}, counters.requests, counters.attempts);
    return {
        now: Date.now() / 1000,
        build: { version: process.env.BUILD || '', nginx: r.variables.nginx_version, njs: njs.version },
        route: { version: now.version, changed: now.changed },
        connections: await connections(r),
        apps: routed,
        gone: Object.keys(known).filter((app) => !(app in found)).map((app) => counted(counters, app)),
        unrouted: (counters.unrouted || {})['-'] || {},
        probes: Object.assign({ healthz: 0, readyz: 0 }, (counters.probes || {})['-']),
        lost: ((counters.lost || {})['-'] || {})['-'] || 0,
    };
}

function counted(counters, app) {
    const attempts = {};
    const seen = (counters.attempts || {})[app] || {};
    series.OUTCOMES.forEach((outcome) => {
        attempts[outcome] = seen[outcome] || 0;
    });
    return {
        name: app,
        requests: Object.assign({ 200: 0 }, (counters.requests || {})[app]),
        attempts: attempts,
        received_bytes: bytes(counters.received, app),
        sent_bytes: bytes(counters.sent, app),
        request_duration: series.histogram(counters, 'duration', app),
        upstream_duration: series.histogram(counters, 'upstream', app),
        header_duration: series.histogram(counters, 'header', app),
    };
}

function bytes(kind, app) {
    return ((kind || {})[app] || {}).all || 0;
}

// Parses nginx's status page: "Active connections: 1 ... 3 3 5 ... Reading: 0 Writing: 1 Waiting: 0".
async function connections(r) {
    const answer = await r.subrequest('/stub_status');
    const n = answer.responseText.match(/\d+/g).map(Number);
    return { active: n[0], accepted: n[1], handled: n[2], reading: n[4], writing: n[5], waiting: n[6] };
}

export default { read };
