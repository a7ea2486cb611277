// What is counted, and where: names of the counters in shared memory, and how they are read back.
// A counter's name is its kind, the app and a detail, with spaces between; no app's name has one.

const OUTCOMES = ['answered', 'connect_failed', 'timeout', 'error', 'aborted'];

// Upper bounds of the histograms in milliseconds, which is what nginx measures in.
const BOUNDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];

function add(kind, app, detail, amount) {
    ngx.shared.counters.incr(kind + ' ' + app + ' ' + detail, amount);
}

// A time goes into the first bucket that holds it; the sum is kept in whole milliseconds, exact.
function observe(kind, app, milliseconds) {
    let bucket = 0;
    while (bucket < BOUNDS.length && milliseconds > BOUNDS[bucket]) {
        bucket++;
    }
    add(kind, app, bucket, 1);
    if (milliseconds) {
        add(kind, app, 'sum', milliseconds);
    }
}

// All counters: kind -> app -> detail -> number.
function read() {
    const found = {};
    ngx.shared.counters.items(1000000).forEach((item) => {
        const parts = item[0].split(' ');
        const apps = found[parts[0]] || (found[parts[0]] = {});
        const details = apps[parts[1]] || (apps[parts[1]] = {});
        details[parts[2]] = item[1];
    });
    return found;
}

// A histogram as it was counted: numbers of each bucket, the last above all bounds, and the sum.
function histogram(counters, kind, app) {
    const details = (counters[kind] || {})[app] || {};
    const counts = [];
    for (let bucket = 0; bucket <= BOUNDS.length; bucket++) {
        counts.push(details[bucket] || 0);
    }
    return { counts: counts, sum: (details.sum || 0) / 1000 };
}

export default { OUTCOMES, BOUNDS, add, observe, read, histogram };
