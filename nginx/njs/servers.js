// The servers of the route: results of their checks, and probes for rollouts.

import ejections from 'ejections.js';
import pick from 'pick.js';
import routing from 'routing.js';
import weights from 'weights.js';

// Returns the servers of all apps: app -> [{name, up, ejected}]. `up` is the result of the last
// check, `ejected` the reason why the server gets no requests now, or empty.
function all(r) {
    const marks = ejections.marks();
    const table = weights.rotation(r);
    const out = table ? pick.ejected(table, marks) : [];
    const found = {};
    routing.apps().forEach((app) => {
        found[app.name] = app.servers.map((server) => ({
            name: server,
            up: ngx.shared.failures.get(server) === 0,
            ejected: out.indexOf(server) < 0 ? '' : marks[server],
        }));
    });
    return found;
}

// Asks every server of an app for some paths now; a server answers with any status within the
// location's js_fetch_timeout. HEAD, so that the size of a response does not matter.
function probe(app, paths) {
    return Promise.all(app.servers.map(async (server) => {
        const answers = await Promise.all(paths.map((path) => head(`http://${server}${path}`)));
        return { name: server, answered: paths.filter((_, i) => answers[i]) };
    }));
}

async function head(url) {
    try {
        await ngx.fetch(url, { method: 'HEAD' });
        return true;
    } catch (error) {
        return false;
    }
}

export default { all, probe };
