// The state in Prometheus's text format, version 0.0.4.

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
        'Requests by the app that they were passed to last, and the code that the client got.',
        each(every, (app) => pairs(app.requests, (code, n) => [labels(app, `,code="${code}"`), n])));
    family('unrouted_requests_total', 'counter', 'Requests that reached no app.',
        pairs(Object.assign({ 503: 0 }, state.unrouted), (code, n) => [`{code="${code}"}`, n]));
    family('attempts_total', 'counter', 'Servers that were asked, by app and by what came of it.',
        each(every, (app) =>
            pairs(app.attempts, (outcome, n) => [labels(app, `,outcome="${outcome}"`), n])));
    histogram('request_duration_seconds', 'From the first byte read to the last byte sent.',
        (app) => app.request_duration);
    histogram('upstream_duration_seconds', 'Time that one try took.', (app) => app.upstream_duration);
    family('received_bytes_total', 'counter', 'Bytes of requests.',
        every.map((app) => [labels(app), app.received_bytes]));
    family('sent_bytes_total', 'counter', 'Bytes of answers.',
        every.map((app) => [labels(app), app.sent_bytes]));
    family('probes_total', 'counter', 'Health probes of the admin port.',
        pairs(state.probes, (probe, n) => [`{probe="${probe}"}`, n]));
    family('configured_weight', 'gauge', 'Weight of each app, relative to the others.',
        state.apps.map((app) => [labels(app), app.weight]));
    family('configured_share_ratio', 'gauge', 'Share of the requests that each app is to get, 0 to 1.',
        state.apps.map((app) => [labels(app), app.share]));
    family('servers', 'gauge', 'Servers of each app by what their health probe says.',
        each(state.apps, (app) => ['up', 'down'].map((is) => {
            const number = app.servers.filter((server) => server.up === (is === 'up')).length;
            return [labels(app, `,state="${is}"`), number];
        })));
    const c = state.connections;
    family('connections', 'gauge', 'Connections of clients to nginx by state.',
        ['active', 'reading', 'writing', 'waiting'].map((is) => [`{state="${is}"}`, c[is]]));
    family('connections_accepted_total', 'counter', 'Connections accepted.', [['', c.accepted]]);
    family('connections_handled_total', 'counter', 'Connections handled.', [['', c.handled]]);
    const b = state.build;
    family('build_info', 'gauge', 'What runs.',
        [[`{version="${b.version}",nginx="${b.nginx}",njs="${b.njs}"}`, 1]]);
    family('route_info', 'gauge', 'The route in force.', [[`{version="${state.route.version}"}`, 1]]);
    family('route_changed_timestamp_seconds', 'gauge', 'When the route was last changed.',
        [['', state.route.changed]]);
    family('lost_records_total', 'counter', 'Requests that could not be counted.', [['', state.lost]]);
    return lines.join('\n') + '\n';
}

// Prometheus wants every bucket to hold those below it too.
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
