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

export default { all };
