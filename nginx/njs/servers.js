// Probes the servers: each at most once a second, however many requests need the result.

import routing from 'routing.js';

function isUp(server) {
    const known = ngx.shared.states.get(server);
    return known === undefined ? ask(server) : Promise.resolve(known === 1);
}

async function ask(server) {
    let up = false;
    try {
        const answer = await ngx.fetch(`http://${server}/healthz`);
        up = answer.status === 200;
    } catch (error) {
        // The server is down, whatever the error is.
    }
    ngx.shared.states.set(server, up ? 1 : 0);
    return up;
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

// Returns the servers of all apps: app -> [{name, up}].
async function all() {
    const found = {};
    const asked = [];
    routing.apps().forEach((app) => {
        found[app.name] = [];
        app.servers.forEach((server) => asked.push([app.name, server]));
    });
    const answers = await Promise.all(asked.map((pair) => isUp(pair[1])));
    asked.forEach((pair, i) => found[pair[0]].push({ name: pair[1], up: answers[i] }));
    return found;
}

export default { all, probe };
