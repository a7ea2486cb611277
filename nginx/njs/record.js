// Counts every request to the public port once, when nginx logs it.
//
// A counter's name is its kind, the app and a detail, with spaces between; no app's name has one.
// njs runs this file anew for each request, so it imports nothing and calls little.

// Upper bounds of the histograms in milliseconds, which is what nginx measures in.
const BOUNDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];

// For `access_log if=`: never anything to write, and the request is counted.
function request(r) {
    const v = r.variables;
    try {
        // Nearly every request is answered at the first try; no list of times is a number.
        if (v.upstream_header_time >= 0) {
            answered(v);
        } else {
            count(v);
        }
    } catch (error) {
        // Shared memory is full. It has room for thousands of apps, but a request comes first.
        lose(r, error);
    }
    return '';
}

// Counted once, by its code and both its buckets, for what are four counters.
function answered(v) {
    const address = v.upstream_addr;
    const app = route.ports[address.slice(address.lastIndexOf(':') + 1)];
    const took = Math.round(v.request_time * 1000);
    const tried = Math.round(v.upstream_response_time * 1000);
    const buckets = `${took <= 1 ? 0 : bucket(took)}:${tried <= 1 ? 0 : bucket(tried)}`;
    const counters = ngx.shared.counters;
    counters.incr(`answered ${app} ${v.status}:${buckets}`, 1);
    counters.incr(`received ${app} bytes`, Number(v.request_length));
    counters.incr(`sent ${app} bytes`, Number(v.bytes_sent));
    if (took) {
        counters.incr(`duration ${app} sum`, took);
    }
    if (tried) {
        counters.incr(`upstream ${app} sum`, tried);
    }
}

// Any other: one that needed several tries, or none.
function count(v) {
    const app = tries(v);
    if (!app) {
        add('unrouted', '-', v.status, 1);
        return;
    }
    add('requests', app, v.status, 1);
    observe('duration', app, milliseconds(v.request_time));
    add('received', app, 'bytes', Number(v.request_length));
    add('sent', app, 'bytes', Number(v.bytes_sent));
}

// Counts the servers that were asked, and returns the app of the last one; none if there was none.
function tries(v) {
    const addresses = list(v.upstream_addr);
    const times = list(v.upstream_response_time);
    let app;
    for (let i = 0; i < addresses.length; i++) {
        // One without an app is the group's name: none of its servers could be asked.
        const tried = route.ports[addresses[i].slice(addresses[i].lastIndexOf(':') + 1)];
        if (tried) {
            app = tried;
            add('tries', app, outcome(v, i), 1);
            observe('upstream', app, milliseconds(times[i]));
        }
    }
    return app;
}

function outcome(v, i) {
    if (list(v.upstream_header_time)[i] !== '-') {
        return 'answered';
    }
    const connects = list(v.upstream_connect_time);
    if (v.status === '499' && i === connects.length - 1) {
        return 'aborted';
    }
    if (connects[i] === '-') {
        return 'connect_failed';
    }
    return list(v.upstream_status)[i] === '504' ? 'timeout' : 'error';
}

// What nginx says of each try: "a, b", and " : " where it began anew.
function list(text) {
    return text ? text.split(/, | : /) : [];
}

// The first bucket that holds a time; one more than there are bounds is for what lies above.
function bucket(milliseconds) {
    let found = 0;
    while (found < BOUNDS.length && milliseconds > BOUNDS[found]) {
        found++;
    }
    return found;
}

function add(kind, app, detail, amount) {
    ngx.shared.counters.incr(`${kind} ${app} ${detail}`, amount);
}

// A sum is kept in whole milliseconds, so that it is exact.
function observe(kind, app, milliseconds) {
    add(kind, app, bucket(milliseconds), 1);
    add(kind, app, 'sum', milliseconds);
}

function milliseconds(seconds) {
    return seconds === '-' ? 0 : Math.round(seconds * 1000);
}

function lose(r, error) {
    r.error(`a request could not be counted: ${error}`);
    try {
        add('lost', '-', '-', 1);
    } catch (again) {
        r.error(`nor that: ${again}`);
    }
}

export default { request, BOUNDS };
