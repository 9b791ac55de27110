// Runs the features of the official client for Node; ANTIPHON_CLIENT=azure runs its Azure client.

import OpenAI, { AzureOpenAI, toFile } from 'openai'; // shown
import { ResponsesWS } from 'openai/resources/responses/ws';

const model = 'gpt-5';
const isAzure = process.env.ANTIPHON_CLIENT === 'azure';
const dated = '2025-04-01-preview';
const settings = { apiKey: KEY, timeout: SECONDS * 1000 };
const client = isAzure
  ? new AzureOpenAI({ baseURL: `${URL}/openai/v1/`, apiVersion: 'preview', ...settings })
  : new OpenAI({ baseURL: `${URL}/v1`, ...settings });
const { responses } = client;
const weather = {
  type: 'function',
  name: 'get_weather',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};
const person = {
  type: 'json_schema',
  name: 'person',
  strict: true,
  schema: {
    type: 'object',
    properties: { name: { type: 'string' }, age: { type: 'integer' } },
    required: ['name', 'age'],
    additionalProperties: false,
  },
};
const user = (content) => ({ role: 'user', content });

async function showOpenAI() {
  // The snippet openai-node begins.
  const client = new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY });
  const response = await client.responses.create({ model: 'gpt-5', input: 'Name one river in France.' });
  console.log(response.output_text);
  // The snippet ends.
}

async function showAzure() {
  // The snippet openai-node-azure begins.
  const client = new AzureOpenAI({ endpoint: URL, apiKey: KEY, apiVersion: '2025-04-01-preview' });
  const response = await client.responses.create({ model: 'gpt-5', input: 'Name one river in France.' });
  console.log(response.output_text);
  // The snippet ends.
}

const runs = {
  async text() {
    same(ANSWER, await printed(isAzure ? showAzure : showOpenAI));
  },
  async stream() {
    const events = responses.stream({ model, input: 'say one two three' });
    const deltas = [];
    for await (const event of events) if (event.type === 'response.output_text.delta') deltas.push(event.delta);
    same(['one', ' two', ' three'], deltas);
    same('one two three', (await events.finalResponse()).output_text);
  },
  async chain() {
    const first = await responses.create({ model, input: 'say one' });
    const second = await responses.create({ model, input: 'say {users}', previous_response_id: first.id });
    same('say one', second.output_text);
  },
  async by_hand() {
    const said = [user('say one')];
    said.push(...(await responses.create({ model, input: said, store: false })).output);
    said.push(user('say {users}, {answers}'));
    same('say one, one', (await responses.create({ model, input: said, store: false })).output_text);
  },
  async reference() {
    const first = await responses.create({ model, input: 'say one' });
    const item = { type: 'item_reference', id: first.output.at(-1).id };
    same('one', (await responses.create({ model, input: [item, user('say {answers}')] })).output_text);
  },
  async encrypted() {
    const stateless = { model, store: false, include: ['reasoning.encrypted_content'], tools: [weather] };
    const said = [user(THINK_AND_CALL)];
    const { output } = await responses.create({ input: said, ...stateless });
    same(['reasoning', 'function_call'], output.map((item) => item.type));
    same(true, Boolean(output[0].encrypted_content));
    said.push(...output, { type: 'function_call_output', call_id: output[1].call_id, output: '22 degrees' });
    same('Two and two.', (await responses.create({ input: said, ...stateless })).output_text);
  },
  async summary() {
    const asked = { model, input: THINK, reasoning: { summary: 'auto' } };
    const [thought] = (await responses.create(asked)).output;
    same(['reasoning', 'Two and two.'], [thought.type, thought.summary[0].text]);
    let told = '';
    for await (const event of await responses.create({ ...asked, stream: true })) {
      if (event.type === 'response.reasoning_summary_text.delta') told += event.delta;
    }
    same('Two and two.', told);
  },
  async function() {
    const first = await responses.create({ model, input: WEATHER_CALL, tools: [weather] });
    const [call] = first.output;
    same(['function_call', 'get_weather', '{"city":"Paris"}'], [call.type, call.name, call.arguments]);
    const output = { type: 'function_call_output', call_id: call.call_id, output: '22 degrees' };
    const asked = { model, input: [output], previous_response_id: first.id, tools: [weather] };
    same('It is 22 degrees.', (await responses.create(asked)).output_text);
  },
  async structured() {
    const response = await responses.parse({ model, input: PERSON, text: { format: person } });
    same({ name: 'json_schema', age: 36 }, response.output_parsed);
  },
  async image_in() {
    const picture = { type: 'input_image', image_url: `data:image/png;base64,${PNG}`, detail: 'auto' };
    const asked = user([{ type: 'input_text', text: 'say {pictures} picture' }, picture]);
    same('1 picture', (await responses.create({ model, input: [asked] })).output_text);
  },
  async file_in() {
    const sent = { filename: 'sales.pdf', file_data: `data:application/pdf;base64,${pdf().toString('base64')}` };
    const uploaded = await client.files.create({ file: await toFile(pdf(), 'sales.pdf'), purpose: 'user_data' });
    for (const file of [sent, { file_id: uploaded.id }]) {
      const asked = user([{ type: 'input_text', text: `find ${WORD}` }, { type: 'input_file', ...file }]);
      same(`found ${WORD}`, (await responses.create({ model, input: [asked] })).output_text);
    }
  },
  async mcp() {
    const tools = [{ type: 'mcp', server_label: 'library', server_url: MCP_URL, require_approval: 'always' }];
    const first = await responses.create({ model, input: ADD_CALL, tools });
    same(['mcp_list_tools', 'mcp_approval_request'], first.output.map((item) => item.type));
    const allowed = { type: 'mcp_approval_response', approval_request_id: first.output.at(-1).id, approve: true };
    const second = await responses.create({ model, input: [allowed], previous_response_id: first.id, tools });
    same([['mcp_call', 'message'], '5'], [second.output.map((item) => item.type), second.output_text]);
  },
  async background() {
    let response = await responses.create({ model, input: 'say done', background: true });
    while (['queued', 'in_progress'].includes(response.status)) response = await responses.retrieve(response.id);
    same(['completed', 'done'], [response.status, response.output_text]);
  },
  async conversation() {
    const { id } = await client.conversations.create({ metadata: { topic: 'demo' } });
    await responses.create({ model, input: 'say one', conversation: id });
    const second = await responses.create({ model, input: 'say {users}', conversation: id });
    same(['say one', id], [second.output_text, second.conversation.id]);
    const roles = [];
    for await (const item of client.conversations.items.list(id, { order: 'asc' })) roles.push(item.role);
    same(['user', 'assistant', 'user', 'assistant'], roles);
    same(true, (await client.conversations.delete(id)).deleted);
  },
  async custom() {
    const format = { type: 'grammar', syntax: 'regex', definition: '[a-z ]+' };
    const tools = [{ type: 'custom', name: 'run', format }];
    const input = 'call run {"input":"make tea"}\nthen\nsay {outputs}';
    const first = await responses.create({ model, input, tools });
    const [call] = first.output;
    same(['custom_tool_call', 'run', 'make tea'], [call.type, call.name, call.input]);
    const output = { type: 'custom_tool_call_output', call_id: call.call_id, output: 'tea' };
    const asked = { model, input: [output], previous_response_id: first.id, tools };
    same('tea', (await responses.create(asked)).output_text);
  },
  async namespaces() {
    const tools = [{ type: 'namespace', name: 'sky', description: 'The weather.', tools: [weather] }];
    const input = WEATHER_CALL.replace('get_weather', 'sky__get_weather');
    const first = await responses.create({ model, input, tools });
    const [call] = first.output;
    same(['function_call', 'get_weather', 'sky'], [call.type, call.name, call.namespace]);
    const output = { type: 'function_call_output', call_id: call.call_id, output: '22 degrees' };
    same('It is 22 degrees.', (await responses.create({ model, input: [user(input), call, output], tools })).output_text);
  },
  async patch_and_shell() {
    const tools = [{ type: 'apply_patch' }, { type: 'shell', environment: { type: 'local' } }];
    const patch = 'call apply_patch {"type":"create_file","path":"a.txt","diff":"+hello"}';
    const input = `${patch}\nthen\ncall shell {"commands":["ls"]}\nthen\nsay Done.`;
    const first = await responses.create({ model, input, tools });
    const [patching] = first.output;
    const { type, path } = patching.operation;
    same(['apply_patch_call', 'create_file', 'a.txt'], [patching.type, type, path]);
    const status = 'completed';
    const patched = { type: 'apply_patch_call_output', call_id: patching.call_id, status, output: 'Done.' };
    const second = await responses.create({ model, input: [patched], previous_response_id: first.id, tools });
    const [listing] = second.output;
    same(['shell_call', ['ls']], [listing.type, listing.action.commands]);
    const listed = { stdout: 'a.txt', stderr: '', outcome: { type: 'exit', exit_code: 0 } };
    const ran = { type: 'shell_call_output', call_id: listing.call_id, output: [listed] };
    const asked = { model, input: [ran], previous_response_id: second.id, tools };
    same('Done.', (await responses.create(asked)).output_text);
  },
  async draw() {
    const input = 'call image_generation {"prompt":"a red house"}\nthen\nsay Here.';
    const response = await responses.create({ model, input, tools: [{ type: 'image_generation' }] });
    const picture = response.output.find((item) => item.type === 'image_generation_call');
    const start = Buffer.from(picture.result, 'base64').subarray(1, 4).toString();
    same(['completed', 'PNG', 'Here.'], [picture.status, start, response.output_text]);
  },
  async kept() {
    const made = await responses.create({ model, input: 'say one', metadata: { topic: 'demo' } });
    const read = await responses.retrieve(made.id);
    same([made.output, made.metadata], [read.output, read.metadata]);
    const texts = [];
    for await (const item of responses.inputItems.list(made.id)) texts.push(item.content[0].text);
    same(['say one'], texts);
    await responses.delete(made.id);
    const error = await responses.retrieve(made.id).catch((error) => error);
    same(true, error instanceof OpenAI.NotFoundError);
  },
  async cancel() {
    const begun = await responses.create({ model, input: 'wait', background: true });
    same('cancelled', (await responses.cancel(begun.id)).status);
    same('cancelled', (await responses.retrieve(begun.id)).status);
  },
  async count() {
    const count = async (words) => (await responses.inputTokens.count({ model, input: 'word '.repeat(words) })).input_tokens;
    const [short, long] = [await count(10), await count(1000)];
    same([true, true], [short > 0 && short < 100, long > 900 && long < 3000]);
  },
  async compact() {
    const said = [user('say one')];
    said.push(...(await responses.create({ model, input: said })).output);
    const shorter = await responses.compact({ model, input: said });
    same('compaction', shorter.output.at(-1).type);
    same('two', (await responses.create({ model, input: [...shorter.output, user('say two')] })).output_text);
  },
  async websocket() {
    const socket = new ResponsesWS(client);
    const completed = async () => {
      for await (const event of socket) {
        if (event.type === 'error') throw event.error;
        if (event.message?.type === 'response.completed') return event.message.response;
        if (event.message?.type === 'error') throw new Error(event.message.error?.message);
      }
    };
    try {
      socket.send({ type: 'response.create', model, input: 'say one', store: false });
      const first = await completed();
      const previous_response_id = first.id;
      socket.send({ type: 'response.create', model, input: 'say {users}', store: false, previous_response_id });
      const texts = [first, await completed()].map((response) => response.output.at(-1).content[0].text);
      same(['one', 'say one'], texts);
    } finally {
      socket.close();
    }
  },
  async errors() {
    const once = client.withOptions({ maxRetries: 0 });
    const stranger = once.withOptions({ apiKey: 'wrong' });
    const asked = [
      [OpenAI.AuthenticationError, stranger, { input: 'say one' }],
      [OpenAI.BadRequestError, once, { input: 'say one', temperature: 3 }],
      [OpenAI.BadRequestError, once, { input: 'say one', previous_response_id: 'resp_nothing' }],
      [OpenAI.RateLimitError, once, { input: 'fail 429' }],
      [OpenAI.NotFoundError, once, { input: [{ type: 'item_reference', id: 'msg_nothing' }] }],
    ];
    for (const [expected, asking, request] of asked) {
      const got = await asking.responses.create({ model, ...request }).catch((error) => error);
      same([request, expected.name], [request, got.constructor.name]);
    }
  },
  async azure() {
    const azureADTokenProvider = async () => KEY;
    for (const at of [
      new AzureOpenAI({ baseURL: `${URL}/openai/v1/`, apiVersion: 'preview', ...settings }),
      new AzureOpenAI({ endpoint: URL, apiVersion: dated, azureADTokenProvider }),
      new AzureOpenAI({ endpoint: URL, deployment: model, apiVersion: dated, ...settings }),
    ]) {
      same('one', (await at.responses.create({ model, input: 'say one' })).output_text);
    }
  },
};

await tell('openai', runs, {});
