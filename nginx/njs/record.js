// Counts every request to the public port once, when nginx logs it.
//
// A counter's name is its kind, the app and perhaps a detail, with spaces between, of which no app's
// name has one.
// njs runs this file anew for each request, so it imports nothing, and what few requests need is
// made within the functions that need it.

// For `access_log if=`: never anything to write, and the request is counted.
function request(r) {
    const v = r.variables;
    try {
        const counters = ngx.shared.counters;
        // nginx has put together what most requests are counted as: by code and both times at once.
        const name = v.answered_soon;
        let app;
        if (name) {
            counters.incr(name, 1);
            app = v.app;
        } else {
            app = count(v);
        }
        if (app) {
            // The shortest way of njs to a name and a number.
            counters.incr('received ' + app, +v.request_length);
            counters.incr('sent ' + app, +v.bytes_sent);
        }
    } catch (error) {
        // Shared memory is full. It has room for hundreds of apps, but a request comes first.
        r.error(`a request could not be counted: ${error}`);
        try {
            ngx.shared.counters.incr('lost - -', 1);
        } catch (again) {
            r.error(`nor that: ${again}`);
        }
    }
    return '';
}

// Counts any other request, and returns the app that was asked last; none if none was.
function count(v) {
    const scale = times();

    function add(kind, app, detail, amount) {
        ngx.shared.counters.incr(`${kind} ${app} ${detail}`, amount);
    }

    // A sum is kept in whole milliseconds, so that it is exact.
    function observe(kind, app, seconds) {
        const took = scale.milliseconds(seconds);
        add(kind, app, scale.bucket(took), 1);
        add(kind, app, 'sum', took);
    }

    // Counted once, by its code and both its buckets, for what are four counters.
    function answered(app) {
        const took = scale.milliseconds(v.request_time);
        const tried = scale.milliseconds(v.upstream_response_time);
        add('answered', app, `${v.status}:${scale.bucket(took)}:${scale.bucket(tried)}`, 1);
        add('duration', app, 'sum', took);
        add('upstream', app, 'sum', tried);
        return app;
    }

    // What nginx says of each try: "a, b", and " : " where it began anew.
    function list(text) {
        return text ? text.split(/, | : /) : [];
    }

    // Counts the servers that were asked, and returns the app of the last one.
    function attempts() {
        const addresses = list(v.upstream_addr);
        const seconds = list(v.upstream_response_time);
        let app;
        for (let i = 0; i < addresses.length; i++) {
            // One without an app is the group's name: none of its servers could be asked.
            const tried = route.ports[addresses[i].slice(addresses[i].lastIndexOf(':') + 1)];
            if (tried) {
                app = tried;
                add('attempts', app, outcome(i), 1);
                observe('upstream', app, seconds[i]);
            }
        }
        return app;
    }

    function outcome(i) {
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

    // No list of times is a number: it was answered at the first try.
    if (v.upstream_header_time >= 0) {
        return answered(v.app);
    }
    const app = attempts();
    if (app) {
        add('requests', app, v.status, 1);
        observe('duration', app, v.request_time);
    } else {
        add('unrouted', '-', v.status, 1);
    }
    return app;
}

// How a time becomes a bucket of a histogram.
function times() {
    // Upper bounds in milliseconds, which is what nginx measures in.
    const bounds = [
        1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000,
    ];

    // The first bucket that holds a time; one more than there are bounds is for what lies above.
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
