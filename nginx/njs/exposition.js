// Writes the state in Prometheus's text format, version 0.0.4. docs/metrics.md lists the metrics.

import series from 'series.js';

function text(state) {
    const lines = [];
    const every = state.apps.concat(state.gone);
    const labels = (app, more) => `{app="${app.name}"${more || ''}}`;

    function family(name, type, help, samples) {
        lines.push(`# HELP loadbalancer_${name} ${help}`, `# TYPE loadbalancer_${name} ${type}`);
        samples.forEach((sample) => lines.push(`loadbalancer_${name}${sample[0]} ${sample[1]}`));
    }
    function each(apps, samples) {
        return [].concat.apply([], apps.map(samples));
    }
    function histogram(name, help, of) {
        const samples = each(every, (app) => buckets(of(app), (more) => labels(app, more)));
        family(name, 'histogram', help, samples);
    }
    const pairs = (object, sample) => Object.keys(object).map((key) => sample(key, object[key]));

    family('requests_total', 'counter',
        'Requests by the app of the last attempt and the status code sent to the client.',
        each(every, (app) => pairs(app.requests, (code, n) => [labels(app, `,code="${code}"`), n])));
    family('unrouted_requests_total', 'counter', 'Requests that reached no app.',
        pairs(Object.assign({ 503: 0 }, state.unrouted), (code, n) => [`{code="${code}"}`, n]));
    family('attempts_total', 'counter', 'Attempts to pass a request to a server, by app and outcome.',
        each(every, (app) =>
            pairs(app.attempts, (outcome, n) => [labels(app, `,outcome="${outcome}"`), n])));
    histogram('request_duration_seconds',
        'Time from the first byte read from the client to the last byte sent to it.',
        (app) => app.request_duration);
    histogram('upstream_duration_seconds',
        'Time of one attempt, from its start to the last byte of the response.',
        (app) => app.upstream_duration);
    histogram('header_duration_seconds',
        'Time of one attempt, from its start to the response header, or to its end without one.',
        (app) => app.header_duration);
    family('received_bytes_total', 'counter', 'Bytes received from clients.',
        every.map((app) => [labels(app), app.received_bytes]));
    family('sent_bytes_total', 'counter', 'Bytes sent to clients.',
        every.map((app) => [labels(app), app.sent_bytes]));
    family('probes_total', 'counter', 'Health probes of the admin port.',
        pairs(state.probes, (probe, n) => [`{probe="${probe}"}`, n]));
    family('configured_weight', 'gauge', 'Weight of each app, relative to the others.',
        state.apps.map((app) => [labels(app), app.weight]));
    family('configured_share_ratio', 'gauge', 'Configured share of each app, 0 to 1.',
        state.apps.map((app) => [labels(app), app.share]));
    family('servers', 'gauge', 'Servers of each app by the result of their last health check.',
        each(state.apps, (app) => ['up', 'down'].map((is) => {
            const number = app.servers.filter((server) => server.up === (is === 'up')).length;
            return [labels(app, `,state="${is}"`), number];
        })));
    family('ejected_servers', 'gauge', 'Servers that get no requests now, by reason; always 1.',
        each(state.apps, (app) => app.servers.filter((server) => server.ejected).map((server) =>
            [labels(app, `,server="${server.name}",reason="${server.ejected}"`), 1])));
    const c = state.connections;
    family('connections', 'gauge', 'Client connections by state.',
        ['active', 'reading', 'writing', 'waiting'].map((is) => [`{state="${is}"}`, c[is]]));
    family('connections_accepted_total', 'counter', 'Accepted client connections.', [['', c.accepted]]);
    family('connections_handled_total', 'counter', 'Handled client connections.', [['', c.handled]]);
    const b = state.build;
    family('build_info', 'gauge', 'Versions of the image, nginx and njs; always 1.',
        [[`{version="${b.version}",nginx="${b.nginx}",njs="${b.njs}"}`, 1]]);
    family('route_info', 'gauge', 'Version of the route; always 1.',
        [[`{version="${state.route.version}"}`, 1]]);
    family('route_changed_timestamp_seconds', 'gauge',
        'Time of the last change of the route, in seconds since the epoch.',
        [['', state.route.changed]]);
    family('lost_records_total', 'counter', 'Requests that could not be counted.', [['', state.lost]]);
    return lines.join('\n') + '\n';
}

// Prometheus's buckets are cumulative.
function buckets(histogram, labels) {
    const bounds = series.bounds();
    let count = 0;
    const samples = histogram.counts.map((n, i) => {
        count += n;
        const le = i < bounds.length ? bounds[i] : '+Inf';
        return ['_bucket' + labels(`,le="${le}"`), count];
    });
    samples.push(['_sum' + labels(''), histogram.sum], ['_count' + labels(''), count]);
    return samples;
}

export default { text };
