// The TypeScript SDK's client, 1.x: node v1.mjs URL KEY [oauth]. With "oauth" it
// is ready to log in with OAuth, as the clients inside editors are.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { walk, withKey } from './session.mjs';

const [url, key, oauth] = process.argv.slice(2);

const authProvider = {
    redirectUrl: 'http://127.0.0.1/callback',
    clientMetadata: { redirect_uris: ['http://127.0.0.1/callback'] },
    clientInformation: () => undefined,
    saveClientInformation: () => {},
    tokens: () => undefined,
    saveTokens: () => {},
    redirectToAuthorization: () => {},
    saveCodeVerifier: () => {},
    codeVerifier: () => ''
};

const client = new Client({ name: 'v1-client', version: '1.0' });
const transport = new StreamableHTTPClientTransport(new URL(url), { ...withKey(key), ...(oauth && { authProvider }) });
await walk(client, transport, (name, args, options) => client.callTool({ name, arguments: args }, undefined, options));
