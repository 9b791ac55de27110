// Drives the Vercel AI SDK against a server, and prints what it got as JSON. It checks all that it is sent with zod.
//
// The server is at ANTIPHON_URL and opens to ANTIPHON_KEY. A scenario that the client ends with an error prints the
// error's class, status and what the server said.

import { createAzure } from '@ai-sdk/azure';
import { createOpenAI } from '@ai-sdk/openai';
import { APICallError, generateText, isStepCount, Output, RetryError, streamText, tool } from 'ai';
import { z } from 'zod';

globalThis.AI_SDK_LOG_WARNINGS = false;

const url = process.env.ANTIPHON_URL;
const apiKey = process.env.ANTIPHON_KEY;
const sent = [];
const fetchAndTell = (input, init) => {
  if (init.body) sent.push(JSON.parse(init.body));
  return fetch(input, init);
};
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey, fetch: fetchAndTell });
const model = openai.responses('gpt-4o');
const person = Output.object({ schema: z.object({ name: z.string(), age: z.number().int() }) });
const tools = {
  get_weather: tool({
    description: 'Say how warm it is.',
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `${city}: 22 degrees`,
  }),
};
const options = (openai) => ({ providerOptions: { openai } });
const user = (content) => ({ role: 'user', content });

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

function references() {
  return sent.at(-1).input.filter((item) => item.type === 'item_reference').length;
}

const scenarios = {
  async text() {
    const { text, finishReason, usage } = await generateText({ model, prompt: 'hello', instructions: 'be brief' });
    return [text, finishReason, usage.inputTokens, usage.outputTokens, usage.totalTokens];
  },
  async stream() {
    const { stream } = streamText({ model, prompt: 'hello' });
    const parts = await collect(stream);
    return parts.filter((part) => part.type === 'text-delta').map((part) => part.text);
  },
  async stream_parts() {
    const { stream } = streamText({ model, prompt: 'hello' });
    return (await collect(stream)).map((part) => part.type);
  },
  async tool() {
    const result = await generateText({ model, tools, stopWhen: isStepCount(3), prompt: 'the weather?' });
    const call = result.steps[0].toolCalls[0];
    return [call.toolName, call.input, result.text];
  },
  async tool_stream() {
    const result = streamText({ model, tools, stopWhen: isStepCount(3), prompt: 'the weather?' });
    const calls = (await collect(result.stream)).filter((part) => part.type === 'tool-call');
    return [calls.map((call) => call.input), await result.text];
  },
  async tool_unstored() {
    const settings = options({ store: false, include: ['reasoning.encrypted_content'] });
    const result = await generateText({ model, tools, stopWhen: isStepCount(3), prompt: 'the weather?', ...settings });
    return result.text;
  },
  async two_calls() {
    const { toolCalls } = await generateText({ model, tools, prompt: 'both cities?' });
    return toolCalls.map((call) => call.input);
  },
  async by_reference() {
    const messages = [user('one')];
    messages.push(...(await generateText({ model, messages })).responseMessages, user('two'));
    const { text, response } = await generateText({ model, messages });
    return [text, references(), response.id];
  },
  async chain() {
    const first = await generateText({ model, prompt: 'one' });
    const previousResponseId = first.providerMetadata.openai.responseId;
    const { text, response } = await generateText({ model, prompt: 'two', ...options({ previousResponseId }) });
    return [text, response.id];
  },
  async reasoning() {
    const settings = options({ reasoningSummary: 'auto', store: false, include: ['reasoning.encrypted_content'] });
    const reasoner = openai.responses('gpt-5');
    const messages = [user('think')];
    const first = await generateText({ model: reasoner, messages, ...settings });
    messages.push(...first.responseMessages, user('hello'));
    const second = await generateText({ model: reasoner, messages, ...settings });
    return [first.reasoningText, first.text, second.text];
  },
  async reasoning_stream() {
    const settings = options({ reasoningSummary: 'auto' });
    const { stream } = streamText({ model: openai.responses('gpt-5'), prompt: 'think', ...settings });
    const parts = await collect(stream);
    return parts.filter((part) => part.type === 'reasoning-delta').map((part) => part.text).join('');
  },
  async parsed() {
    return (await generateText({ model, prompt: 'a person', output: person })).output;
  },
  async parsed_stream() {
    return streamText({ model, prompt: 'a person', output: person }).output;
  },
  async incomplete() {
    const { text, finishReason } = await generateText({ model, prompt: 'long' });
    return [text, finishReason];
  },
  async failed() {
    const { stream } = streamText({ model, prompt: 'break', onError() {} });
    return (await collect(stream)).filter((part) => part.type.startsWith('text-d')).map((part) => part.text);
  },
  async azure_key() {
    const azure = createAzure({ baseURL: `${url}/openai/v1`, apiKey });
    return (await generateText({ model: azure.responses('gpt-4o'), prompt: 'hello' })).text;
  },
  async azure_token() {
    const azure = createAzure({ baseURL: `${url}/openai/v1`, tokenProvider: async () => apiKey });
    return (await generateText({ model: azure.responses('gpt-4o'), prompt: 'hello' })).text;
  },
  async azure_deployment() {
    const azure = createAzure({ baseURL: `${url}/openai`, apiKey, useDeploymentBasedUrls: true, apiVersion: 'v1' });
    return streamText({ model: azure.responses('gpt-4o'), prompt: 'hello' }).text;
  },
  async azure_tool() {
    const azure = createAzure({ baseURL: `${url}/openai/v1`, apiKey });
    const settings = { model: azure.responses('gpt-4o'), tools, stopWhen: isStepCount(3) };
    return (await generateText({ ...settings, prompt: 'the weather?' })).text;
  },
  async azure_unknown() {
    const azure = createAzure({ baseURL: `${url}/openai/v1`, apiKey });
    return (await generateText({ model: azure.responses('nothing'), prompt: 'hello' })).text;
  },
  async bad_request() {
    const settings = options({ previousResponseId: 'resp_nothing' });
    return (await generateText({ model, prompt: 'hello', ...settings })).text;
  },
  async not_found() {
    const content = [{ type: 'text', text: 'x', providerOptions: { openai: { itemId: 'msg_nothing' } } }];
    const messages = [user('one'), { role: 'assistant', content }, user('two')];
    return (await generateText({ model, messages })).text;
  },
  async unauthorized() {
    const stranger = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'wrong' });
    return (await generateText({ model: stranger.responses('gpt-4o'), prompt: 'hello' })).text;
  },
  async limited() {
    return (await generateText({ model, prompt: 'limit', maxRetries: 0 })).text;
  },
  async given_up() {
    return (await generateText({ model, prompt: 'limit', maxRetries: 1 })).text;
  },
  async retried() {
    return (await generateText({ model: openai.responses('busy'), prompt: 'ai sdk' })).text;
  },
};

async function told(scenario) {
  try {
    return await scenario();
  } catch (error) {
    if (APICallError.isInstance(error)) return ['APICallError', error.statusCode, error.isRetryable, error.message];
    if (RetryError.isInstance(error)) return ['RetryError', error.reason, error.errors.length];
    return [error.constructor.name, String(error.cause ?? error)];
  }
}

const results = {};
for (const [name, scenario] of Object.entries(scenarios)) results[name] = await told(scenario);
process.stdout.write(JSON.stringify(results));
