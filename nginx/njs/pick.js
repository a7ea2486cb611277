// Which server gets a request: the table of a rotation, and picking from it. No effects, so that
// tests run it without nginx.
//
// Every server has as many positions in the cycle as its weight. The requests go through the
// positions in steps of `stride`, which has no factor in common with the length of the cycle:
// every window of that length meets each position once, so that shares are exact in it. A step of
// about 0.618 of the length spreads the turns of a server evenly.
//
// A table is {servers, bounds, total, stride}: the positions of servers[i] end before bounds[i].
// loadbalancer/nginx/shares.py writes the table of a route in the same way.

const GOLDEN_RATIO = 0.6180339887498949;

// How much is known against a server: a `check` or an `error` may be the fault of a request, and
// where nobody listens no request succeeds.
const SEVERITY = { check: 1, error: 1, connect_failed: 2 };

function gcd(a, b) {
    while (b) {
        const rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// Returns the whole number nearest to 0.618 of the length that has no factor in common with it.
function stride(total) {
    const near = Math.floor(total * GOLDEN_RATIO + 0.5);
    for (let off = 0; ; off++) {
        if (near > off && gcd(near - off, total) === 1) {
            return near - off;
        }
        if (gcd(near + off, total) === 1) {
            return near + off;
        }
    }
}

// Builds a table. Servers of weight 0 are left out; without any other the total is 0.
function table(servers, weights) {
    const divisor = weights.reduce(gcd, 0);
    const found = { servers: [], bounds: [], total: 0, stride: 0 };
    for (let i = 0; i < servers.length; i++) {
        if (weights[i]) {
            found.total += weights[i] / divisor;
            found.servers.push(servers[i]);
            found.bounds.push(found.total);
        }
    }
    found.stride = found.total && stride(found.total);
    return found;
}

// Returns the server of the nth request. Products stay exact up to a cycle of 94 million.
function choose(table, n) {
    const position = ((n % table.total) * table.stride) % table.total;
    let low = 0;
    let high = table.bounds.length - 1;
    while (low < high) {
        const middle = (low + high) >> 1;
        if (table.bounds[middle] > position) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return table.servers[low];
}

// Returns the servers that get no requests: those with a mark (server -> reason). If all have one,
// it is those where nobody listens; and none if that is all of them.
function ejected(table, marks) {
    const servers = Array.from(table.servers);
    const severity = (server) => SEVERITY[marks[server]] || 0;
    for (let tolerated = 0; tolerated < 2; tolerated++) {
        const out = servers.filter((server) => severity(server) > tolerated);
        if (out.length < servers.length) {
            return out;
        }
    }
    return [];
}

// Returns the table without some of its servers.
function without(whole, out) {
    const weights = Array.from(whole.bounds).map((bound, i) => {
        const weight = bound - (i ? whole.bounds[i - 1] : 0);
        return out.indexOf(whole.servers[i]) < 0 ? weight : 0;
    });
    return table(whole.servers, weights);
}

export default { table, choose, ejected, without };
