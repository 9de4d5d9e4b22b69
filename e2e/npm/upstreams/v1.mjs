// The TypeScript SDK's server, 1.x: in Express as its examples have it, with a
// server for each request and with sessions; behind body parsers that take
// whatever they can read; and in plain node:http.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import express from 'express';
import { z } from 'zod';
import { randomUUID } from 'node:crypto';
import { counted, note, serve } from './counter.mjs';

function newServer() {
    const server = new McpServer({ name: 'v1', version: '1' });
    for (const tool of ['count', 'other']) {
        server.registerTool(tool, { inputSchema: z.looseObject({}) }, () => {
            note(`run ${tool}`);
            return { content: [{ type: 'text', text: 'counted' }] };
        });
    }
    return counted(server);
}

async function perRequest(req, res) {
    const server = newServer();
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
    res.on('close', () => {
        transport.close();
        server.close();
    });
    await server.connect(transport);
    await transport.handleRequest(req, res, req.body);
}

const sessions = {};

async function perSession(req, res) {
    let transport = sessions[req.headers['mcp-session-id']];
    if (!transport) {
        transport = new StreamableHTTPServerTransport({
            sessionIdGenerator: randomUUID,
            onsessioninitialized: id => (sessions[id] = transport)
        });
        transport.onclose = () => delete sessions[transport.sessionId];
        await newServer().connect(transport);
    }
    await transport.handleRequest(req, res, req.body);
}

const inExpress = createMcpExpressApp();
inExpress.all('/messages', perRequest);

const withSessions = createMcpExpressApp();
withSessions.all('/messages', perSession);

const lenient = express();
lenient.use(express.urlencoded({ extended: true }));
lenient.use(express.json({ type: () => true }));
lenient.all('/messages', perRequest);

await serve({
    'TypeScript v1 Express': inExpress,
    'TypeScript v1 Express stateful': withSessions,
    'TypeScript v1 Express, any body': lenient,
    'TypeScript v1 node:http': (req, res) => perRequest(req, res)
});
