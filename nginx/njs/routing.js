// The apps of the route that this worker has loaded: [{name, weight, servers}].

function apps() {
    // Preloaded objects look like arrays, but have none of their methods.
    return Array.from(route.apps).map((app) => ({
        name: app.name,
        weight: app.weight,
        servers: Array.from(app.servers),
    }));
}

export default { apps };
