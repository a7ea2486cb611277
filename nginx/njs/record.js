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
    const asked = v.upstream_addr;
    const app = asked && tries(v, asked);
    if (!app) {
        series.add('unrouted', '-', v.status, 1);
        return;
    }
    series.add('received', app, 'bytes', Number(v.request_length));
    series.add('sent', app, 'bytes', Number(v.bytes_sent));
}

// Counts the servers that were asked, and the request for the app of the last one, which it
// returns; none if there was none.
function tries(v, asked) {
    const took = milliseconds(v.request_time);
    let app;
    if (!isList(asked)) {
        app = appAt(asked);
        if (app && v.upstream_header_time !== '-') {
            series.addAnswered(app, v.status, took, milliseconds(v.upstream_response_time));
            return app;
        }
    }
    const addresses = list(asked);
    const times = list(v.upstream_response_time);
    for (let i = 0; i < addresses.length; i++) {
        const tried = appAt(addresses[i]);
        if (tried) {
            app = tried;
            series.add('tries', app, outcome(v, i), 1);
            series.observe('upstream', app, milliseconds(times[i]));
        }
    }
    if (app) {
        series.add('requests', app, v.status, 1);
        series.observe('duration', app, took);
    }
    return app;
}

// An address without an app is the group's name: none of its servers could be asked.
function appAt(address) {
    return route.ports[address.slice(address.lastIndexOf(':') + 1)];
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
function isList(text) {
    return text.indexOf(', ') >= 0 || text.indexOf(' : ') >= 0;
}

function list(text) {
    return text.split(/, | : /);
}

function milliseconds(seconds) {
    return seconds === '-' ? 0 : Math.round(seconds * 1000);
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
