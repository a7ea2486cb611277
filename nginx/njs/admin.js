// Answers of the admin port, and access to it.

import fs from 'fs';

import exposition from 'exposition.js';
import routing from 'routing.js';
import series from 'series.js';
import servers from 'servers.js';
import state from 'state.js';

async function metrics(r) {
    const found = await state.read(r);
    r.headersOut['Content-Type'] = 'text/plain; version=0.0.4; charset=utf-8';
    r.return(200, exposition.text(found));
}

async function status(r) {
    const found = await state.read(r);
    found.bounds = series.bounds();
    found.apps.forEach((app) => {
        app.servers = app.servers.map((server) => ({
            name: server.name,
            state: server.up ? 'up' : 'down',
            ejected: server.ejected,
        }));
    });
    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, JSON.stringify(found));
}

function healthz(r) {
    series.addProbe('healthz');
    r.return(200, 'ok\n');
}

// nginx is ready if at least one server of an app with a weight above 0 is up.
function readyz(r) {
    series.addProbe('readyz');
    const found = servers.all(r);
    const ready = routing.current(r).apps.some((app) => app.weight && found[app.name].some((server) => server.up));
    r.return(ready ? 200 : 503, ready ? 'ready\n' : 'no app can answer\n');
}

// Which of two paths the servers of an app answer, for rollouts: an app that hangs has no counters.
async function probe(r) {
    const app = routing.apps().filter((one) => one.name === r.args.app)[0];
    if (!app) {
        r.return(404, 'no such app\n');
        return;
    }
    const found = await servers.probe(app, ['/', '/healthz']);
    r.headersOut['Content-Type'] = 'application/json';
    r.return(200, JSON.stringify({ app: app.name, servers: found }));
}

// Allows this container and its host, whose requests come from the network's gateway. Requests of
// other containers come from their own addresses.
function allowed(r) {
    const from = r.remoteAddress;
    return from === '127.0.0.1' || from === gateway() ? 'yes' : '';
}

// Returns the next hop of the default route. The kernel's table has addresses in hexadecimal digits,
// last byte first.
function gateway() {
    const rows = fs.readFileSync('/proc/net/route', 'utf8').split('\n').map((row) => row.split('\t'));
    const found = rows.filter((row) => row[1] === '00000000')[0];
    return found && found[2].match(/../g).reverse().map((byte) => parseInt(byte, 16)).join('.');
}

export default { metrics, status, healthz, readyz, probe, allowed };
