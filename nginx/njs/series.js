// The counters that record.js keeps, read back.

import record from 'record.js';

const SCALE = record.times();
const OUTCOMES = ['answered', 'connect_failed', 'timeout', 'error', 'aborted'];

// All counters: kind -> app -> detail, which is "all" where there is none -> number.
function read() {
    const found = {};
    function put(kind, app, detail, number) {
        const apps = found[kind] || (found[kind] = {});
        const details = apps[app] || (apps[app] = {});
        details[detail] = (details[detail] || 0) + number;
    }
    // So many requests that each took a time in seconds, or as long as a bucket says.
    function observe(kind, app, time, number) {
        if (time.indexOf('.') < 0) {
            put(kind, app, time, number);
            return;
        }
        const took = SCALE.milliseconds(time);
        put(kind, app, SCALE.bucket(took), number);
        put(kind, app, 'sum', took * number);
    }
    ngx.shared.counters.items(1000000).forEach((item) => {
        const name = item[0].split(' ');
        if (name[0] !== 'answered') {
            put(name[0], name[1], name[2] || 'all', item[1]);
            return;
        }
        const parts = name[2].split(':');
        put('requests', name[1], parts[0], item[1]);
        put('attempts', name[1], 'answered', item[1]);
        observe('duration', name[1], parts[1], item[1]);
        observe('upstream', name[1], parts[2], item[1]);
    });
    return found;
}

// A histogram as it was counted: numbers of each bucket, the last above all bounds, and the sum.
function histogram(counters, kind, app) {
    const details = (counters[kind] || {})[app] || {};
    const counts = [];
    for (let number = 0; number <= SCALE.bounds.length; number++) {
        counts.push(details[number] || 0);
    }
    return { counts: counts, sum: (details.sum || 0) / 1000 };
}

// Their upper bounds in seconds.
function bounds() {
    return SCALE.bounds.map((milliseconds) => milliseconds / 1000);
}

function addProbe(probe) {
    ngx.shared.counters.incr(`probes - ${probe}`, 1);
}

export default { OUTCOMES, read, histogram, bounds, addProbe };
