// Picks the server of each request, and tells what follows when no server has answered it.

import attempts from 'attempts.js';
import ejections from 'ejections.js';
import pick from 'pick.js';
import weights from 'weights.js';

// The upstream's name in nginx.conf, which is the address of an attempt without a server.
const UPSTREAM = 'apps';
// Milliseconds between two attempts of a request that waits for the addresses of the servers, and how
// often it waits: each time takes two of the ten internal redirects that nginx allows.
const PAUSE = 100;
const WAITS = 4;

// For `sticky route`: the name of the server to pass the request to, or nothing where nginx's own
// rotation decides. nginx asks once for each time that the request enters the upstream.
function server(r) {
    const whole = weights.rotation(r);
    if (!whole || !whole.total) {
        return '';
    }
    // A second time must not take a turn from the requests that come for the first time.
    const turn = ngx.shared.turns.incr(r.variables.upstream_addr ? 'again' : 'first', 1, 0);
    let table = whole;
    if (ngx.shared.marks.keys(1).length) {
        const out = pick.ejected(whole, ejections.marks());
        table = out.length ? pick.without(whole, out) : whole;
    }
    return route.routes[pick.choose(table, turn - 1)];
}

// For error_page: a request is passed on once more if no server has taken it, or if it may be
// repeated and the server failed it as it would fail any other. nginx's own retries end when the
// list of servers changes meanwhile.
function next(r) {
    const tried = attempts.all(r.variables);
    if (waits(tried)) {
        return '@wait';
    }
    ejections.note(tried);
    if (!tried.some((attempt) => attempt.taken)) {
        return '@again';
    }
    const latest = tried[tried.length - 1];
    const repeatable = ['GET', 'HEAD', 'OPTIONS'].indexOf(r.method) >= 0;
    return repeatable && (latest.failed || hangs(latest)) ? '@again' : '@no_answer';
}

// For error_page of a request that was passed on once more.
function last(r) {
    return waits(attempts.all(r.variables)) ? '@wait' : '@no_answer';
}

// An nginx that has just started knows no address of any server until Docker's name server has told
// it. A request waits for that, at most half a second.
function waits(tried) {
    const few = tried.length > 0 && tried.length <= WAITS;
    return few && tried.every((attempt) => attempt.address === UPSTREAM);
}

// Passes a request on after a pause.
async function wait(r) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    r.internalRedirect('@again');
}

// A server that did not answer in time and fails its checks is not slow with this one request.
function hangs(attempt) {
    const name = ngx.shared.addresses.get(attempt.address);
    return attempt.outcome === 'timeout' && name !== undefined && ngx.shared.marks.has(name);
}

export default { server, next, last, wait };
