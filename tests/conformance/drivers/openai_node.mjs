// Drives the official client for Node against a server, and prints what it got as JSON.
//
// The server is at ANTIPHON_URL and opens to ANTIPHON_KEY. A scenario that the client ends with an error prints the
// error's class, status, code and param.

import { APIError, AzureOpenAI, OpenAI } from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const url = process.env.ANTIPHON_URL;
const apiKey = process.env.ANTIPHON_KEY;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey });
const model = 'gpt-4o';
const format = zodTextFormat(z.object({ name: z.string(), age: z.number().int() }), 'person');
const weather = {
  type: 'function',
  name: 'get_weather',
  description: 'Say how warm it is.',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};
const create = (body, options) => client.responses.create({ model, ...body }, options);

async function collect(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const scenarios = {
  async text() {
    const { output_text, status, usage } = await create({ input: 'hello', instructions: 'be brief' });
    return [output_text, status, usage.input_tokens, usage.output_tokens, usage.total_tokens];
  },
  async request_id() {
    return (await create({ input: 'hello' }))._request_id;
  },
  async stream() {
    return (await collect(await create({ input: 'hello', stream: true }))).map((event) => event.type);
  },
  async stream_helper() {
    const stream = client.responses.stream({ model, input: 'hello' });
    const deltas = [];
    stream.on('response.output_text.delta', (event) => deltas.push(event.delta));
    return [deltas, (await stream.finalResponse()).output_text];
  },
  async tool() {
    const first = await create({ input: 'the weather?', tools: [weather] });
    const call = first.output[0];
    const output = { type: 'function_call_output', call_id: call.call_id, output: '22 degrees' };
    const second = await create({ previous_response_id: first.id, input: [output], tools: [weather] });
    return [call.type, call.name, call.arguments, second.output_text];
  },
  async tool_stream() {
    const question = { role: 'user', content: 'the weather?' };
    const stream = client.responses.stream({ model, input: [question], tools: [weather], store: false });
    const events = await collect(stream);
    const parts = events.filter((event) => event.type === 'response.function_call_arguments.delta');
    const first = await stream.finalResponse();
    const { parsed_arguments, ...call } = first.output[0];
    const output = { type: 'function_call_output', call_id: call.call_id, output: '22 degrees' };
    const second = await create({ input: [question, call, output], tools: [weather], store: false });
    return [parts.map((event) => event.delta).join(''), parsed_arguments, second.output_text];
  },
  async two_calls() {
    const response = await create({ input: 'both cities?', tools: [weather] });
    return response.output.map((item) => item.arguments);
  },
  async chain() {
    let response = await create({ input: 'one' });
    for (const input of ['two', 'three']) response = await create({ input, previous_response_id: response.id });
    const items = await collect(client.responses.inputItems.list(response.id, { order: 'asc', limit: 2 }));
    return items.map((item) => item.content[0].text);
  },
  async by_hand() {
    const input = [{ role: 'user', content: 'one' }];
    input.push(...(await create({ input, store: false })).output, { role: 'user', content: 'two' });
    return (await create({ input, store: false })).output_text;
  },
  async parsed() {
    return (await client.responses.parse({ model, input: 'a person', text: { format } })).output_parsed;
  },
  async parsed_stream() {
    const stream = client.responses.stream({ model, input: 'a person', text: { format } });
    return (await stream.finalResponse()).output_parsed;
  },
  async refused() {
    const response = await client.responses.parse({ model, input: 'refuse', text: { format } });
    return [response.output_parsed, response.output[0].content[0].refusal];
  },
  async reasoning() {
    const { output } = await create({ input: 'think', reasoning: { summary: 'auto' } });
    return [output.map((item) => item.type), output[0].summary[0].text];
  },
  async incomplete() {
    const { type, response } = (await collect(await create({ input: 'long', stream: true }))).at(-1);
    return [type, response.status, response.incomplete_details.reason, response.output[0].content[0].text];
  },
  async failed() {
    const { type, response } = (await collect(await create({ input: 'break', stream: true }))).at(-1);
    return [type, response.status, response.error.code, response.output[0].content[0].text];
  },
  async kept() {
    const made = await create({ input: 'hello', metadata: { topic: 'demo' } });
    const same = JSON.stringify(await client.responses.retrieve(made.id)) === JSON.stringify(made);
    await client.responses.delete(made.id);
    const status = await client.responses.retrieve(made.id).catch((error) => error.status);
    return [same, made.metadata, status];
  },
  async background() {
    let response = await create({ input: 'hello', background: true });
    const statuses = [response.status];
    while (['queued', 'in_progress'].includes(response.status)) response = await client.responses.retrieve(response.id);
    const rest = await collect(await client.responses.retrieve(response.id, { stream: true, starting_after: 5 }));
    return [...statuses, response.status, response.output_text, rest.map((event) => event.type)];
  },
  async background_stream() {
    const begun = [];
    for await (const event of await create({ input: 'hello', background: true, stream: true })) {
      if (begun.push(event) === 3) break;
    }
    const { response, sequence_number } = begun.at(-1);
    const resumed = client.responses.stream({ response_id: response.id, starting_after: sequence_number });
    const numbers = (await collect(resumed)).map((event) => event.sequence_number);
    return [begun.map((event) => event.type), numbers, (await resumed.finalResponse()).output_text];
  },
  async cancelled() {
    let response = await create({ input: 'endless', background: true });
    while (response.output[0]?.content[0]?.text !== 'So far') response = await client.responses.retrieve(response.id);
    const first = await client.responses.cancel(response.id);
    const second = await client.responses.cancel(response.id);
    const { text } = first.output[0].content[0];
    return [response.status, first.status, text, JSON.stringify(first) === JSON.stringify(second)];
  },
  async models() {
    return (await collect(client.models.list())).map((model) => model.id).sort();
  },
  async azure_key() {
    const azure = new AzureOpenAI({ baseURL: `${url}/openai/v1/`, apiKey, apiVersion: 'preview' });
    return (await azure.responses.create({ model, input: 'hello' })).output_text;
  },
  async azure_token() {
    const azureADTokenProvider = async () => apiKey;
    const azure = new AzureOpenAI({ endpoint: url, azureADTokenProvider, apiVersion: '2025-04-01-preview' });
    return (await azure.responses.stream({ model, input: 'hello' }).finalResponse()).output_text;
  },
  async azure_deployment() {
    const azure = new AzureOpenAI({ endpoint: url, deployment: model, apiKey, apiVersion: '2025-03-01-preview' });
    return (await azure.responses.create({ model, input: 'hello' })).output_text;
  },
  async azure_unknown() {
    const azure = new AzureOpenAI({ baseURL: `${url}/openai/v1/`, apiKey, apiVersion: 'preview' });
    return (await azure.responses.create({ model: 'nothing', input: 'hello' })).output_text;
  },
  async not_found() {
    return (await client.responses.retrieve('resp_nothing')).id;
  },
  async bad_request() {
    return (await create({ input: 'hello', previous_response_id: 'resp_nothing' })).id;
  },
  async bad_value() {
    return (await create({ input: 'hello', temperature: 3 })).id;
  },
  async unknown_model() {
    return (await create({ model: 'nothing', input: 'hello' })).id;
  },
  async unauthorized() {
    return (await client.withOptions({ apiKey: 'wrong' }).responses.create({ model, input: 'hello' })).id;
  },
  async limited() {
    return (await create({ input: 'limit' }, { maxRetries: 0 })).id;
  },
  async limited_stream() {
    return collect(await create({ input: 'limit', stream: true }, { maxRetries: 0 }));
  },
  async retried() {
    return (await create({ model: 'busy', input: 'openai for node' })).output_text;
  },
};

async function told(scenario) {
  try {
    return await scenario();
  } catch (error) {
    if (error instanceof APIError) return [error.constructor.name, error.status, error.code, error.param ?? null];
    return [error.constructor.name, String(error)];
  }
}

const results = {};
for (const [name, scenario] of Object.entries(scenarios)) results[name] = await told(scenario);
process.stdout.write(JSON.stringify(results));
