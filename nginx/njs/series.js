// What is counted, and where: names of the counters in shared memory, and how they are read back.
// A counter's name is its kind, the app and a detail, with spaces between; no app's name has one.

const OUTCOMES = ['answered', 'connect_failed', 'timeout', 'error', 'aborted'];

// Upper bounds of the histograms in milliseconds, which is what nginx measures in.
const BOUNDS = [1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000];

function add(kind, app, detail, amount) {
    ngx.shared.counters.incr(`${kind} ${app} ${detail}`, amount);
}

// The first bucket that holds a time; one more than there are bounds is for what lies above.
function bucket(milliseconds) {
    let found = 0;
    while (found < BOUNDS.length && milliseconds > BOUNDS[found]) {
        found++;
    }
    return found;
}

// A sum is kept in whole milliseconds, so that it is exact.
function observe(kind, app, milliseconds) {
    add(kind, app, bucket(milliseconds), 1);
    addSum(kind, app, milliseconds);
}

function addSum(kind, app, milliseconds) {
    if (milliseconds) {
        add(kind, app, 'sum', milliseconds);
    }
}

// Nearly every request is answered at the first try: one counter for what is otherwise four, since
// this is done for each request.
function addAnswered(app, code, took, tried) {
    add('answered', app, `${code}:${bucket(took)}:${bucket(tried)}`, 1);
    addSum('duration', app, took);
    addSum('upstream', app, tried);
}

// All counters: kind -> app -> detail -> number.
function read() {
    const found = {};
    function put(kind, app, detail, number) {
        const apps = found[kind] || (found[kind] = {});
        const details = apps[app] || (apps[app] = {});
        details[detail] = (details[detail] || 0) + number;
    }
    ngx.shared.counters.items(1000000).forEach((item) => {
        const name = item[0].split(' ');
        if (name[0] !== 'answered') {
            put(name[0], name[1], name[2], item[1]);
            return;
        }
        const parts = name[2].split(':');
        put('requests', name[1], parts[0], item[1]);
        put('tries', name[1], 'answered', item[1]);
        put('duration', name[1], parts[1], item[1]);
        put('upstream', name[1], parts[2], item[1]);
    });
    return found;
}

// A histogram as it was counted: numbers of each bucket, the last above all bounds, and the sum.
function histogram(counters, kind, app) {
    const details = (counters[kind] || {})[app] || {};
    const counts = [];
    for (let number = 0; number <= BOUNDS.length; number++) {
        counts.push(details[number] || 0);
    }
    return { counts: counts, sum: (details.sum || 0) / 1000 };
}

export default { OUTCOMES, BOUNDS, add, observe, addAnswered, read, histogram };
