// The attempts to pass a request to a server, from nginx's variables.

// Splits nginx's values of all attempts: "a, b", with " : " after an internal redirect.
function list(text) {
    return text ? text.split(/, | : /) : [];
}

// Returns all attempts: {address, outcome, seconds, header, taken, failed, ago}. An attempt without
// a server has the name of the upstream as its address. `taken` tells whether the server may have
// the request, `failed` whether it failed as it would have failed any other request, and `ago` how
// many seconds before the end of the last attempt that was.
function all(v) {
    const connects = list(v.upstream_connect_time);
    const headers = list(v.upstream_header_time);
    const seconds = list(v.upstream_response_time);
    const statuses = list(v.upstream_status);
    const received = list(v.upstream_bytes_received);
    const hasBody = v.content_length > 0 || !!v.http_transfer_encoding;

    function outcome(i) {
        if (headers[i] !== '-') {
            return 'answered';
        }
        if (v.status === '499' && i === connects.length - 1) {
            return 'aborted';
        }
        if (connects[i] === '-') {
            return 'connect_failed';
        }
        return statuses[i] === '504' ? 'timeout' : 'error';
    }

    // Attempts follow one another without a pause.
    function secondsAfter(i) {
        return seconds.slice(i).reduce((sum, one) => sum + (+one || 0), 0);
    }

    return list(v.upstream_addr).map((address, i) => {
        const found = outcome(i);
        // A header that is too large or invalid has bytes, and is the fault of the request. A server
        // that answers without reading the body may reset the connection before nginx has read that.
        const reset = found === 'error' && !(received[i] > 0) && !hasBody;
        return {
            address: address,
            outcome: found,
            seconds: seconds[i],
            header: headers[i],
            taken: connects[i] !== '-',
            failed: found === 'connect_failed' || reset,
            // A connection that times out tells of its beginning: a server that has started since
            // may not have got another packet.
            ago: secondsAfter(found === 'connect_failed' ? i : i + 1),
        };
    });
}

// Returns the attempts since the request was last passed on by an internal redirect.
function sinceRedirect(v) {
    const number = list((v.upstream_addr || '').split(' : ').pop()).length;
    return number ? all(v).slice(-number) : [];
}

export default { all, sinceRedirect };
