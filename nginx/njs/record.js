// Counts every request to the public port once, when nginx logs it.

import series from 'series.js';

// For `access_log if=`: never anything to write, and the request is counted.
function request(r) {
    try {
        count(r.variables);
    } catch (error) {
        // Shared memory is full. It has room for thousands of apps, but a request comes first.
        lose(r, error);
    }
    return '';
}

function count(v) {
    const app = tries(v);
    const code = v.status;
    if (app === undefined) {
        series.add('unrouted', '-', code, 1);
        return;
    }
    series.add('requests', app, code, 1);
    series.observe('duration', app, milliseconds(v.request_time));
    series.add('received', app, 'bytes', Number(v.request_length));
    series.add('sent', app, 'bytes', Number(v.bytes_sent));
}

// Counts the servers that were asked, and returns the app of the last one; none if there was none.
function tries(v) {
    const addresses = list(v.upstream_addr);
    const aborted = v.status === '499';
    let app;
    for (let i = 0; i < addresses.length; i++) {
        // Not a server, but the name of the group when none of its servers could be asked.
        const tried = route.ports[addresses[i].slice(addresses[i].lastIndexOf(':') + 1)];
        if (tried === undefined) {
            continue;
        }
        app = tried;
        const last = aborted && i === addresses.length - 1;
        series.add('tries', app, outcome(v, i, last), 1);
        series.observe('upstream', app, milliseconds(list(v.upstream_response_time)[i]));
    }
    return app;
}

function outcome(v, i, aborted) {
    if (isNumber(list(v.upstream_header_time)[i])) {
        return 'answered';
    }
    if (aborted) {
        return 'aborted';
    }
    if (!isNumber(list(v.upstream_connect_time)[i])) {
        return 'connect_failed';
    }
    return list(v.upstream_status)[i] === '504' ? 'timeout' : 'error';
}

// What nginx says of each try: "a, b", and " : " where it began anew.
function list(text) {
    return text ? text.split(/ : |, /) : [];
}

function isNumber(text) {
    return text !== undefined && text !== '-';
}

function milliseconds(seconds) {
    return isNumber(seconds) ? Math.round(Number(seconds) * 1000) : 0;
}

function lose(r, error) {
    r.error(`a request could not be counted: ${error}`);
    try {
        series.add('lost', '-', '-', 1);
    } catch (again) {
        r.error(`nor that: ${again}`);
    }
}

export default { request };
