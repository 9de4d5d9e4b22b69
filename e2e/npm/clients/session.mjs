// What both TypeScript clients do in a test: they list the tools, call some,
// and end; standard output gets one line of JSON, which tells what came of it.

// Walks through a session with a client that is not connected yet.
export async function walk(client, transport, call) {
    const told = {};
    try {
        await client.connect(transport);
        told.tools = (await client.listTools()).tools.map(tool => tool.name);
        const page = await call('query_table', { table: 'trade_calendar', limit: 17 });
        told.rows = page.structuredContent.rows.length;
        told.refused = (await call('query_table', { table: 'nonsense' })).isError ?? false;
        told.progress = 0;
        await call('backtest', { ts_code: '600001.NX', steps: 5, step_ms: 20 }, { onprogress: () => told.progress++ });
        await transport.terminateSession();
    } catch (err) {
        told.error = err.message;
    }
    await client.close();
    console.log(JSON.stringify(told));
}

// Puts the key, if there is one, into every request, as a client's configured
// header does.
export function withKey(key) {
    return { requestInit: { headers: key ? { Authorization: `Bearer ${key}` } : {} } };
}
