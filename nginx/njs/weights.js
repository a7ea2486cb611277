// The weights that nginx serves by: those that a worker has loaded with its route, or later ones in
// memory that all workers share. Weights alone change without a reload, which would leave a worker
// process behind for each stream that is open.
//
// Later weights are stored under the generation of the configuration that they are for, so that a
// reload, which loads the newest, leaves them behind.

// Returns the table of the rotation.
function rotation(r) {
    const later = ngx.shared.weights.get(r.variables.generation);
    if (!later) {
        return route.rotation;
    }
    const table = JSON.parse(later);
    table.servers = route.rotation.servers;
    return table;
}

// Returns what else has changed with later weights: { generation, version, changed, weights }, the
// last one by app; undefined where there are none.
function later(r) {
    const found = ngx.shared.weights.get(`route ${r.variables.generation}`);
    return found && JSON.parse(found);
}

// Puts the weights of a route in force, and names the generation that they make.
function set(r, generation, found) {
    const weights = {};
    found.apps.forEach((app) => {
        weights[app.name] = app.weight;
    });
    const own = r.variables.generation;
    const rest = { generation, version: found.version, changed: found.changed, weights };
    ngx.shared.weights.set(`route ${own}`, JSON.stringify(rest));
    const table = found.rotation;
    const bounds = { bounds: table.bounds, total: table.total, stride: table.stride };
    ngx.shared.weights.set(own, JSON.stringify(bounds));
    ngx.shared.weights.keys(1000).forEach((key) => {
        if (key !== own && key !== `route ${own}`) {
            ngx.shared.weights.delete(key);
        }
    });
}

export default { rotation, later, set };
