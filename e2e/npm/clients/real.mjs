// The TypeScript SDK's clients: node real.mjs v1|v2 TARGETS. TARGETS is JSON, a
// list of servers and the tools to call there: {"url", "key", "good": {"name",
// "arguments"}, "bad", "slow"}. For each it prints what it was told as one line of
// JSON.
import { withKey } from './session.mjs';

const [sdk, targets] = process.argv.slice(2);
const v1 = sdk === 'v1';
const { Client } = await import(v1 ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = await import(v1 ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client');

async function walk({ url, key, good, bad, slow }) {
    const client = new Client({ name: `${sdk}-client`, version: '1.0' }, v1 ? {} : { versionNegotiation: { mode: 'auto' } });
    const transport = new StreamableHTTPClientTransport(new URL(url), withKey(key));
    const call = async (tool, options) => {
        try {
            const result = await (v1 ? client.callTool(tool, undefined, options) : client.callTool(tool, options));
            return result.content.filter(part => part.type === 'text').map(part => part.text).join(' ');
        } catch (err) {
            return err.message; // some servers refuse bad arguments by an error
        }
    };
    await client.connect(transport);
    const told = {
        protocol: v1 ? transport.protocolVersion : client.getNegotiatedProtocolVersion(),
        server: client.getServerVersion().name,
        tools: (await client.listTools()).tools.map(tool => tool.name),
        resources: (await client.listResources()).resources.map(resource => resource.uri),
        prompts: (await client.listPrompts()).prompts.map(prompt => prompt.name),
        good: await call(good),
        bad: await call(bad),
        progress: false
    };
    told.slow = await call(slow, { onprogress: () => (told.progress = true) });
    await transport.terminateSession();
    await client.close();
    return told;
}

for (const target of JSON.parse(targets)) {
    console.log(JSON.stringify(await walk(target).catch(err => ({ error: err.message }))));
}
