// What every program in Node shares; the runner puts it before each. See telling.py, which says the same in Python.

import { isDeepStrictEqual } from 'node:util';
import { readFileSync } from 'node:fs';

const URL = process.env.ANTIPHON_URL;
const KEY = process.env.ANTIPHON_KEY;
const MCP_URL = process.env.ANTIPHON_MCP_URL;
const SECONDS = 30;
const WORD = 'umbrellas';
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC';
const ANSWER = 'You said: Name one river in France.';
const WEATHER_CALL = 'call get_weather {"city":"Paris"}\nthen\nsay It is {outputs}.';
const ADD_CALL = 'call library__add {"a":2,"b":3}\nthen\nsay {outputs}';
const THINK = 'think Two and two.\nsay Four.';
const THINK_AND_CALL = 'think Two and two.\ncall get_weather {"city":"Paris"}\nthen\nsay {thoughts}';
const PERSON = 'say {"name":"{format}","age":36}';
const ID = /\b(resp|msg|req|rs|fc|call|conv|mcp[lr]?|file|ctc)_[\w-]{8,}|https?:\/\/[\w.]+:\d+|0x[0-9a-f]+/g;
const LONGEST = 200;

class Absent extends Error {}

// A page with WORD on it.
function pdf() {
  const words = `BT /F1 24 Tf 72 720 Td (In April we sold 42 ${WORD}.) Tj ET`;
  const objects = [
    '<</Type/Catalog/Pages 2 0 R>>',
    '<</Type/Pages/Kids[3 0 R]/Count 1>>',
    '<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>',
    `<</Length ${words.length}>>stream\n${words}\nendstream`,
    '<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>',
  ];
  let written = '%PDF-1.4\n';
  let table = '0000000000 65535 f \n';
  objects.forEach((each, index) => {
    table += `${String(written.length).padStart(10, '0')} 00000 n \n`;
    written += `${index + 1} 0 obj${each}\nendobj\n`;
  });
  const end = `xref\n0 6\n${table}trailer<</Size 6/Root 1 0 R>>\nstartxref\n${written.length}\n%%EOF\n`;
  return Buffer.from(written + end);
}

function same(expected, actual) {
  if (!isDeepStrictEqual(expected, actual)) {
    throw new Error(`expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
  }
}

// Runs a snippet of the documentation, and gives what it prints.
async function printed(snippet) {
  const { log } = console;
  const lines = [];
  console.log = (line) => lines.push(line);
  try {
    await snippet();
  } finally {
    console.log = log;
  }
  return lines.join('\n');
}

const plain = (words) => words.split(/\s+/).join(' ').trim().replace(ID, '...').slice(0, LONGEST);

async function outcome(run) {
  try {
    await run();
    return { ok: true, note: '' };
  } catch (error) {
    if (error instanceof Absent) return { ok: null, note: error.message };
    return { ok: false, note: plain(`${error.constructor.name}: ${error.message} ${error.cause ?? ''}`) };
  }
}

// Runs every feature, and prints a line of JSON each; `absent` are those that the client does not have.
async function tell(name, runs, absent) {
  const { version } = JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8'));
  console.log(JSON.stringify({ version }));
  for (const [feature, run] of Object.entries(runs)) {
    console.log(JSON.stringify({ feature, ...(await outcome(run)) }));
  }
  for (const [feature, note] of Object.entries(absent)) console.log(JSON.stringify({ feature, ok: null, note }));
}
