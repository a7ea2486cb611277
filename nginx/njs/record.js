// Counts every request to the public port once, when nginx logs it.
//
// The name of a counter is its kind, the app and, for some kinds, a detail, separated by spaces.
// njs runs this file for each request, so it imports little, and creates what only few requests need
// inside the functions that need it.

import attempts from 'attempts.js';
import ejections from 'ejections.js';

// For `access_log if=`: counts the request and returns nothing, so that no line is written.
function request(r) {
    const v = r.variables;
    try {
        const counters = ngx.shared.counters;
        // Most requests have one counter for their code and both times; nginx.conf composes its name.
        const name = v.answered_soon;
        let app;
        if (name) {
            counters.incr(name, 1);
            app = v.app;
        } else {
            app = count(v);
        }
        if (app) {
            // The fastest forms of a name and a number in njs.
            counters.incr('received ' + app, +v.request_length);
            counters.incr('sent ' + app, +v.bytes_sent);
        }
    } catch (error) {
        // The shared memory, which has room for hundreds of apps, is full. The request must not fail.
        r.error(`a request could not be counted: ${error}`);
        try {
            ngx.shared.counters.incr('lost - -', 1);
        } catch (again) {
            r.error(`a lost record could not be counted: ${again}`);
        }
    }
    return '';
}

// Counts any other request. Returns the app of the last attempt, or undefined.
function count(v) {
    const scale = times();

    function add(kind, app, detail, amount) {
        ngx.shared.counters.incr(`${kind} ${app} ${detail}`, amount);
    }

    // Sums are in whole milliseconds, so that they are exact.
    function observe(kind, app, seconds) {
        const took = scale.milliseconds(seconds);
        add(kind, app, scale.bucket(took), 1);
        add(kind, app, 'sum', took);
    }

    // One counter for the code and the three buckets, in place of five.
    function answered(app) {
        const took = scale.milliseconds(v.request_time);
        const attempt = scale.milliseconds(v.upstream_response_time);
        const waited = scale.milliseconds(v.upstream_header_time);
        const buckets = [took, attempt, waited].map(scale.bucket).join(':');
        add('answered', app, `${v.status}:${buckets}`, 1);
        add('duration', app, 'sum', took);
        add('upstream', app, 'sum', attempt);
        add('header', app, 'sum', waited);
        return app;
    }

    // Counts the attempts. Returns the app of the last one, or undefined.
    function countAttempts() {
        let app;
        attempts.all(v).forEach((attempt) => {
            // Without a port of an app it is the upstream's name: no server was available.
            const port = attempt.address.slice(attempt.address.lastIndexOf(':') + 1);
            if (route.ports[port]) {
                app = route.ports[port];
                add('attempts', app, attempt.outcome, 1);
                observe('upstream', app, attempt.seconds);
                // Without a header the server has let the request wait to the end of the attempt.
                observe('header', app, attempt.header === '-' ? attempt.seconds : attempt.header);
            }
        });
        return app;
    }

    // A list of times is not a number, so this request was answered at the first attempt.
    if (v.upstream_header_time >= 0) {
        return answered(v.app);
    }
    // Those before it were noted when it was passed on.
    ejections.note(attempts.sinceRedirect(v));
    const app = countAttempts();
    if (app) {
        add('requests', app, v.status, 1);
        observe('duration', app, v.request_time);
    } else {
        add('unrouted', '-', v.status, 1);
    }
    return app;
}

// Assigns times to the buckets of a histogram.
function times() {
    // Upper bounds in milliseconds, the resolution of nginx's times.
    const bounds = [
        1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
    ];

    // Returns the index of the bucket of a time. The last bucket is for times above all bounds.
    function bucket(milliseconds) {
        let found = 0;
        while (found < bounds.length && milliseconds > bounds[found]) {
            found++;
        }
        return found;
    }

    function milliseconds(seconds) {
        return seconds === '-' ? 0 : Math.round(seconds * 1000);
    }

    return { bounds, bucket, milliseconds };
}

export default { request, times };
