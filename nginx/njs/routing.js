// The route that nginx serves by.

import weights from 'weights.js';

// Returns the apps of the route: [{name, weight, servers}], with the weights that a worker has
// loaded with it.
function apps() {
    // Preloaded objects look like arrays, but have none of their methods.
    return Array.from(route.apps).map((app) => ({
        name: app.name,
        weight: app.weight,
        servers: Array.from(app.servers),
    }));
}

// Returns the route in force: {version, changed, apps}.
function current(r) {
    const later = weights.later(r);
    const found = { version: route.version, changed: route.changed, apps: apps() };
    if (later) {
        found.version = later.version;
        found.changed = later.changed;
        found.apps.forEach((app) => {
            app.weight = later.weights[app.name];
        });
    }
    return found;
}

export default { apps, current };
