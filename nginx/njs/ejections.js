// Marks on servers in memory that all workers share: server (host:port) -> why it should get no
// requests. A mark ends by itself, so that nothing stays ejected that is not checked any more.

// After a failed request, until the next check. A check that succeeds readmits the server.
const PASSIVE = 5000;
// After a failed check: longer than two checks and the time-out of one.
const ACTIVE = 15000;

// Marks a server, which is then due to be checked. The log names it once.
function mark(server, reason, timeout) {
    const marks = ngx.shared.marks;
    if (marks.add(server, reason, timeout)) {
        ngx.shared.checked.delete(server);
        ngx.log(ngx.WARN, `server ${server} is ejected: ${reason}`);
    } else {
        marks.set(server, reason, timeout);
    }
}

// Readmits a server, which has passed a check now.
function passed(server) {
    ngx.shared.passed.set(server, Date.now());
    if (ngx.shared.marks.delete(server)) {
        ngx.log(ngx.WARN, `server ${server} is readmitted`);
    }
}

// Stores the address of a server, by which the server of a failed request is known.
function locate(server, address) {
    ngx.shared.addresses.set(address, server);
}

// Tells whether a server has passed a check since a failure, so many seconds ago.
function outdated(server, ago) {
    return Date.now() - ago * 1000 < ngx.shared.passed.get(server);
}

// Marks the servers that failed a request as they would fail any other: nobody listens, or the
// connection was reset before the first byte of an answer.
function note(attempts) {
    attempts.forEach((attempt) => {
        const server = attempt.failed && ngx.shared.addresses.get(attempt.address);
        if (server && !outdated(server, attempt.ago)) {
            mark(server, attempt.outcome, PASSIVE);
        }
    });
}

// Returns all marks: server -> reason.
function marks() {
    const found = {};
    ngx.shared.marks.items(100000).forEach((item) => {
        found[item[0]] = item[1];
    });
    return found;
}

export default { ACTIVE, mark, passed, outdated, locate, note, marks };
