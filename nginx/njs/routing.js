// The apps of the route that this nginx was started with: [{name, weight, servers}].

function apps() {
    // What nginx preloads has the form of arrays, and none of their methods.
    return Array.from(route.apps).map((app) => ({
        name: app.name,
        weight: app.weight,
        servers: Array.from(app.servers),
    }));
}

export default { apps };
