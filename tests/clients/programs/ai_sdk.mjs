// Runs the features of the Vercel AI SDK; it checks all that it is sent with zod.

import { createAzure } from '@ai-sdk/azure';
import { createOpenAI } from '@ai-sdk/openai'; // shown
import { APICallError, generateText, isStepCount, Output, streamText, tool } from 'ai'; // shown
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;

const sent = [];
const fetchAndTell = (input, init) => {
  if (init.body) sent.push(JSON.parse(init.body));
  return fetch(input, init);
};
const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, fetch: fetchAndTell });
const model = openai.responses('gpt-5');
const stopWhen = isStepCount(4);
const get_weather = tool({ inputSchema: z.object({ city: z.string() }), execute: async () => '22 degrees' });
const options = (openai) => ({ providerOptions: { openai } });
const user = (content) => ({ role: 'user', content });
const stateless = options({ reasoningSummary: 'auto', store: false, include: ['reasoning.encrypted_content'] });

const runs = {
  async text() {
    const snippet = async () => {
      // The snippet ai-sdk begins.
      const openai = createOpenAI({ baseURL: `${URL}/v1`, apiKey: KEY });
      const { text } = await generateText({ model: openai.responses('gpt-5'), prompt: 'Name one river in France.' });
      console.log(text);
      // The snippet ends.
    };
    same(ANSWER, await printed(snippet));
  },
  async stream() {
    const deltas = [];
    for await (const part of streamText({ model, prompt: 'say one two three' }).stream) {
      if (part.type === 'error') throw part.error;
      if (part.type === 'text-delta') deltas.push(part.text);
    }
    same(['one', ' two', ' three'], deltas);
  },
  async chain() {
    const first = await generateText({ model, prompt: 'say one' });
    const previousResponseId = first.providerMetadata.openai.responseId;
    same('say one', (await generateText({ model, prompt: 'say {users}', ...options({ previousResponseId }) })).text);
  },
  async by_hand() {
    const messages = [user('say one')];
    messages.push(...(await generateText({ model, messages, ...stateless })).responseMessages);
    messages.push(user('say {users}, {answers}'));
    same('say one, one', (await generateText({ model, messages, ...stateless })).text);
  },
  async reference() {
    const model = openai.responses('gpt-4o'); // of a model that reasons it names only what followed a thought
    const messages = [user('say one')];
    messages.push(...(await generateText({ model, messages })).responseMessages, user('say {answers}'));
    same('one', (await generateText({ model, messages })).text);
    same(['item_reference'], sent.at(-1).input.map((item) => item.type).filter(Boolean));
  },
  async encrypted() {
    const asked = { model, tools: { get_weather }, stopWhen, prompt: THINK_AND_CALL, ...stateless };
    same('Two and two.', (await generateText(asked)).text);
    same(true, Boolean(sent.at(-1).input.find((item) => item.type === 'reasoning').encrypted_content));
  },
  async summary() {
    const asked = { model, prompt: THINK, ...options({ reasoningSummary: 'auto' }) };
    same('Two and two.', (await generateText(asked)).reasoningText);
    let told = '';
    for await (const part of streamText(asked).stream) if (part.type === 'reasoning-delta') told += part.text;
    same('Two and two.', told);
  },
  async function() {
    const result = await generateText({ model, tools: { get_weather }, stopWhen, prompt: WEATHER_CALL });
    same([{ city: 'Paris' }, 'It is 22 degrees.'], [result.steps[0].toolCalls[0].input, result.text]);
  },
  async structured() {
    const output = Output.object({ schema: z.object({ name: z.string(), age: z.number().int() }) });
    same({ name: 'json_schema', age: 36 }, (await generateText({ model, prompt: PERSON, output })).output);
  },
  async image_in() {
    const picture = { type: 'file', data: PNG, mediaType: 'image/png' };
    const messages = [user([{ type: 'text', text: 'say {pictures} picture' }, picture])];
    same('1 picture', (await generateText({ model, messages })).text);
  },
  async file_in() {
    const file = { type: 'file', data: pdf(), mediaType: 'application/pdf', filename: 'sales.pdf' };
    const messages = [user([{ type: 'text', text: `find ${WORD}` }, file])];
    same(`found ${WORD}`, (await generateText({ model, messages })).text);
  },
  async mcp() {
    const serverDescription = 'A library.';
    const settings = { serverLabel: 'library', serverUrl: MCP_URL, serverDescription, requireApproval: 'always' };
    const tools = { mcp: openai.tools.mcp(settings) };
    const messages = [user(ADD_CALL)];
    const first = await generateText({ model, tools, messages });
    const { approvalId } = first.content.find((part) => part.type === 'tool-approval-request');
    const allowed = { type: 'tool-approval-response', approvalId, approved: true, providerExecuted: true };
    messages.push(...first.responseMessages, { role: 'tool', content: [allowed] });
    same('5', (await generateText({ model, tools, messages })).text);
  },
  async conversation() {
    const headers = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
    const made = await fetch(`${URL}/v1/conversations`, { method: 'POST', headers, body: '{}' });
    const { id } = await made.json(); // the SDK continues conversations, and has no call that begins one
    await generateText({ model, prompt: 'say one', ...options({ conversation: id }) });
    same('say one', (await generateText({ model, prompt: 'say {users}', ...options({ conversation: id }) })).text);
  },
  async custom() {
    const format = { type: 'grammar', syntax: 'regex', definition: '[a-z ]+' };
    const run = openai.tools.customTool({ name: 'run', description: 'Run.', format });
    const tools = { run: { ...run, execute: async (input) => `did ${input}` } };
    const prompt = 'call run {"input":"make tea"}\nthen\nsay {outputs}';
    const result = await generateText({ model, tools, stopWhen, prompt });
    same(['make tea', true], [result.steps[0].toolCalls[0].input, result.text.includes('did make tea')]);
  },
  async namespaces() {
    const namespace = { name: 'sky', description: 'The weather.' };
    const tools = { get_weather: { ...get_weather, providerOptions: { openai: { namespace } } } };
    const prompt = WEATHER_CALL.replace('get_weather', 'sky__get_weather');
    const result = await generateText({ model, tools, stopWhen, prompt });
    same([{ city: 'Paris' }, 'It is 22 degrees.'], [result.steps[0].toolCalls[0]?.input, result.text]);
    same([['namespace', 'sky']], sent.at(-1).tools.map((tool) => [tool.type, tool.name]));
  },
  async patch_and_shell() {
    const done = [];
    const patch = async ({ operation }) => {
      done.push([operation.type, operation.path, operation.diff]);
      return { status: 'completed', output: 'Done.' };
    };
    const list = async ({ action }) => {
      done.push(action.commands);
      return { output: [{ stdout: 'a.txt', stderr: '', outcome: { type: 'exit', exitCode: 0 } }] };
    };
    const apply_patch = openai.tools.applyPatch({ execute: patch });
    const shell = openai.tools.shell({ execute: list, environment: { type: 'local' } });
    const patching = 'call apply_patch {"type":"create_file","path":"a.txt","diff":"+hello"}';
    const prompt = `${patching}\nthen\ncall shell {"commands":["ls"]}\nthen\nsay Done.`;
    same('Done.', (await generateText({ model, tools: { apply_patch, shell }, stopWhen, prompt })).text);
    same([['create_file', 'a.txt', '+hello'], ['ls']], done);
  },
  async draw() {
    const tools = { image_generation: openai.tools.imageGeneration({ outputFormat: 'png' }) };
    const prompt = 'call image_generation {"prompt":"a red house"}\nthen\nsay Here.';
    const { text, staticToolResults } = await generateText({ model, tools, stopWhen, prompt });
    const start = Buffer.from(staticToolResults[0].output.result, 'base64').subarray(1, 4).toString();
    same(['PNG', 'Here.'], [start, text]);
  },
  async errors() {
    const stranger = createOpenAI({ baseURL: `${URL}/v1`, apiKey: 'wrong' }).responses('gpt-5');
    const asked = [
      [401, false, { model: stranger, prompt: 'say one' }],
      [400, false, { model, prompt: 'say one', ...options({ previousResponseId: 'resp_nothing' }) }],
      [429, true, { model, prompt: 'fail 429', maxRetries: 0 }],
    ];
    for (const [status, isRetryable, request] of asked) {
      const error = await generateText(request).catch((error) => error);
      same([true, status, isRetryable], [APICallError.isInstance(error), error.statusCode, error.isRetryable]);
    }
  },
  async azure() {
    for (const azure of [
      createAzure({ baseURL: `${URL}/openai/v1`, apiKey: KEY }),
      createAzure({ baseURL: `${URL}/openai/v1`, tokenProvider: async () => KEY }),
      createAzure({ baseURL: `${URL}/openai`, apiKey: KEY, useDeploymentBasedUrls: true, apiVersion: 'v1' }),
    ]) {
      same('one', (await generateText({ model: azure.responses('gpt-5'), prompt: 'say one' })).text);
    }
  },
};

await tell('ai', runs, {
  background: 'The SDK has no background runs.',
  kept: 'The SDK does not read responses back.',
  cancel: 'The SDK has no background runs.',
  count: 'The SDK counts nothing beforehand.',
  compact: 'The SDK has no call for it.',
  websocket: 'The SDK speaks HTTP.',
});
