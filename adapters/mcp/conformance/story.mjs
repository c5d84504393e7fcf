// The approval story, told by the protocol's own TypeScript client.
//
//   node story.mjs http  URL     legacy|2026-07-28     (the token is in $TOKEN)
//   node story.mjs stdio COMMAND legacy|2026-07-28
//
// It prints one JSON line for each step and, before the last, waits for a line
// on stdin: that somebody has agreed.
import { createInterface } from 'node:readline';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

const [transport, target, era] = process.argv.slice(2);
const say = (step, value) => console.log(JSON.stringify({ step, value }));

const asked = [];
const client = new Client(
  { name: 'typescript-sdk', version: '2.4.0' },
  {
    capabilities: { elicitation: { form: {}, url: {} } },
    versionNegotiation: { mode: era === 'legacy' ? 'legacy' : { pin: era } },
  },
);
client.setRequestHandler('elicitation/create', async request => {
  asked.push(request.params);
  return { action: 'accept' };
});
await client.connect(
  transport === 'http'
    ? new StreamableHTTPClientTransport(new URL(target), { requestInit: { headers: { Authorization: `Bearer ${process.env.TOKEN}` } } })
    : new StdioClientTransport({ command: target, env: process.env, stderr: 'inherit' }),
);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

const { tools } = await client.listTools();
say('tools', tools.map(tool => tool.name));
say('resources', (await client.listResources()).resources.map(resource => resource.uri));

const progress = [];
const started = await client.callTool(
  { name: 'duplicati_start', arguments: { thing: '2' } },
  { onprogress: p => progress.push(p.progress) },
);
say('started', { status: started.structuredContent.status, progress });

const denied = await client.callTool({ name: 'duplicati_start', arguments: { thing: 'nothing' } });
say('failed', { isError: denied.isError, text: denied.content[0].text });

const secret = await client.callTool({ name: 'duplicati_set_word', arguments: { thing: '2', word: 'page' } });
say('secret', { status: secret.structuredContent?.status, asked });

const pending = await client.callTool({ name: 'duplicati_destroy', arguments: { thing: '1' } });
say('pending', pending.structuredContent);

await lines.next();
const how = await client.callTool({ name: 'duplicati_request', arguments: { id: pending.structuredContent.approval.id } });
say('after', how.structuredContent.result.requests[0]);
await client.close();
process.exit(0);
