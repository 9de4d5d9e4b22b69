// The TypeScript SDK's server, v2: its handler, which serves 2026-07-28 and
// older revisions, in Express and in plain node:http, and its transport of the
// older revisions with sessions.
import { McpServer, createMcpHandler } from '@modelcontextprotocol/server';
import { createMcpExpressApp } from '@modelcontextprotocol/express';
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node';
import { z } from 'zod';
import { randomUUID } from 'node:crypto';
import { counted, note, serve } from './counter.mjs';

function newServer() {
    const server = new McpServer({ name: 'v2', version: '1' });
    for (const tool of ['count', 'other']) {
        server.registerTool(tool, { inputSchema: z.looseObject({}) }, () => {
            note(`run ${tool}`);
            return { content: [{ type: 'text', text: 'counted' }] };
        });
    }
    return counted(server);
}

const handle = toNodeHandler(createMcpHandler(newServer));

const inExpress = createMcpExpressApp();
inExpress.all('/messages', (req, res) => handle(req, res, req.body));

const sessions = {};

async function perSession(req, res) {
    let transport = sessions[req.headers['mcp-session-id']];
    if (!transport) {
        transport = new NodeStreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: id => {
                sessions[id] = transport;
            }
        });
        transport.onclose = () => delete sessions[transport.sessionId];
        await newServer().connect(transport);
    }
    await transport.handleRequest(req, res, req.body);
}

const withSessions = createMcpExpressApp();
withSessions.all('/messages', perSession);

await serve({
    'TypeScript v2 Express': inExpress,
    'TypeScript v2 Express stateful': withSessions,
    'TypeScript v2 node:http': (req, res) => handle(req, res)
});
