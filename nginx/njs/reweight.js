// Puts other weights in force, and tells by which generation nginx serves; for Pulumi's changes.

import fs from 'fs';

import weights from 'weights.js';

// Reads the weights of the table in the folder of the route, which must have the same servers with a
// share as the route that this worker has loaded. Any other change needs a reload.
function load(r) {
    const found = JSON.parse(fs.readFileSync('/etc/nginx/route/route.json', 'utf8'));
    const loaded = route.rotation ? Array.from(route.rotation.servers) : [];
    if (r.method !== 'POST' || !loaded.length || loaded.join() !== found.rotation.servers.join()) {
        r.return(409, 'the route has other servers\n');
        return;
    }
    weights.set(r, r.args.generation, found);
    r.return(200, 'ok\n');
}

function generation(r) {
    const later = weights.later(r);
    r.return(200, `${later ? later.generation : r.variables.generation}\n`);
}

export default { load, generation };
