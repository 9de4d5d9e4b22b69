// Counts what an upstream of the tests runs, and serves it.
import { AsyncLocalStorage } from 'node:async_hooks';
import http from 'node:http';

// A run is what an upstream did for one request, told apart by the header
// X-Case: a JSON-RPC method that was dispatched, "run TOOL", or an HTTP method
// other than POST.
const runs = [];
const current = new AsyncLocalStorage();

export function note(what) {
    runs.push({ ...current.getStore(), what });
}

// Counts what a server dispatches, whatever transport it is connected to.
export function counted(server) {
    const connect = server.server.connect.bind(server.server);
    server.server.connect = async transport => {
        await connect(transport);
        const dispatch = transport.onmessage;
        transport.onmessage = (message, extra) => {
            note(message.method ?? 'response');
            return dispatch(message, extra);
        };
    };
    return server;
}

// Serves each upstream at /messages of a port of its own, and the runs so far
// on one more, which no upstream leads to; standard output tells where, and the
// program ends with its standard input.
export async function serve(upstreams) {
    const where = { admin: '', upstreams: {} };
    where.admin = await listen((_, res) => res.end(JSON.stringify(runs)));
    for (const [upstream, handler] of Object.entries(upstreams)) {
        where.upstreams[upstream] = await listen((req, res) =>
            current.run({ upstream, label: req.headers['x-case'] ?? '' }, () => {
                if (req.method !== 'POST') note(req.method);
                handler(req, res);
            })
        );
    }
    console.log(JSON.stringify(where));
    process.stdin.resume().on('end', () => process.exit());
}

function listen(handler) {
    const server = http.createServer(handler);
    return new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`)));
}
