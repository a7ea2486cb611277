// Reads the counters of record.js.

import record from 'record.js';

const SCALE = record.times();
const OUTCOMES = ['answered', 'connect_failed', 'timeout', 'error', 'aborted'];

// Returns all counters: kind -> app -> detail ("all" for kinds without one) -> number.
function read() {
    const found = {};
    function put(kind, app, detail, number) {
        const apps = found[kind] || (found[kind] = {});
        const details = apps[app] || (apps[app] = {});
        details[detail] = (details[detail] || 0) + number;
    }
    // Adds a number of requests to a histogram; `time` is in seconds or the index of a bucket.
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
        // nginx.conf's names do without this time, which is in the same hundredth of a second.
        observe('header', name[1], parts[3] || parts[2], item[1]);
    });
    return found;
}

// Returns a histogram: the count of each bucket, not cumulative, and the sum in seconds.
function histogram(counters, kind, app) {
    const details = (counters[kind] || {})[app] || {};
    const counts = [];
    for (let number = 0; number <= SCALE.bounds.length; number++) {
        counts.push(details[number] || 0);
    }
    return { counts: counts, sum: (details.sum || 0) / 1000 };
}

// Upper bounds of the buckets in seconds.
function bounds() {
    return SCALE.bounds.map((milliseconds) => milliseconds / 1000);
}

function addProbe(probe) {
    ngx.shared.counters.incr(`probes - ${probe}`, 1);
}

export default { OUTCOMES, read, histogram, bounds, addProbe };
