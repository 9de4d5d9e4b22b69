// The TypeScript SDK's client, v2: node v2.mjs URL KEY MODE, where MODE is how
// it finds the revision: "legacy", "auto", or a revision that it insists on.
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { walk, withKey } from './session.mjs';

const [url, key, mode] = process.argv.slice(2);

const client = new Client(
    { name: 'v2-client', version: '2.0' },
    { versionNegotiation: { mode: /^\d/.test(mode) ? { pin: mode } : mode } }
);
const transport = new StreamableHTTPClientTransport(new URL(url), withKey(key));
await walk(client, transport, (name, args, options) => client.callTool({ name, arguments: args }, options));
