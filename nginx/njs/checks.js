// Active checks of the health path of every server. nginx.conf has the time-outs.

import ejections from 'ejections.js';
import routing from 'routing.js';

// A server fails its checks after so many in a row: one alone may be chance.
const FAILS = 2;
// Longer than any check takes.
const UNDER_WAY = 10000;
// Until the next check of a server that has passed one. Any other is checked each second.
const PASSED = 2500;

// For js_periodic, each second: starts the checks that are due. This does not wait for the results,
// since nginx ends a call that is still running at the next one.
async function start() {
    const servers = [].concat.apply([], routing.apps().map((app) => app.servers));
    await Promise.all(servers.map(async (server) => {
        if (!ngx.shared.checked.add(server, 1, UNDER_WAY)) {
            return;
        }
        try {
            await ngx.fetch(`http://127.0.0.1:8081/check?server=${server}`);
        } catch (error) {
            // A slow check goes on without this connection; it is recorded when it ends.
        }
    }));
}

// Passes a check to its server, which must be one of the route.
function check(r) {
    const server = r.args.server;
    if (route.routes && route.routes[server] !== undefined) {
        r.internalRedirect(`/health-of?server=${server}`);
    } else {
        // A worker of before a reload does not know the servers of a new one's checks.
        ngx.shared.checked.delete(server);
        r.return(404);
    }
}

// For `access_log if=` of a check that has ended: records it, and returns nothing.
function record(r) {
    const v = r.variables;
    const server = v.arg_server;
    const connected = v.upstream_connect_time && v.upstream_connect_time !== '-';
    if (connected) {
        ejections.locate(server, v.upstream_addr);
    }
    if (v.upstream_status === '200') {
        ngx.shared.checked.set(server, 1, PASSED);
        ngx.shared.failures.set(server, 0);
        ejections.passed(server);
        return '';
    }
    // A failed request makes the next check due at once, perhaps while this one was under way.
    if (ejections.outdated(server, v.request_time)) {
        return '';
    }
    ngx.shared.checked.delete(server);
    const failures = ngx.shared.failures.incr(server, 1, 0);
    if (failures >= FAILS || ngx.shared.marks.has(server)) {
        ejections.mark(server, connected ? 'check' : 'connect_failed', ejections.ACTIVE);
    }
    return '';
}

export default { start, check, record };
