// Makes ../blockkit.schema.json (JSON Schema 2020-12) from Slack's own type package.
//
// The types give the shapes. The limits stand only in their doc comments ("Maximum length for this
// field is 75 characters"), so they are mined from those sentences. A sentence that speaks of a limit
// and is neither understood nor listed in notALimit ends the run: a newer @slack/types cannot lose one
// silently.
//
//   npm ci && npm run generate        (-v lists the limits; a file name writes there instead)

import {readFileSync, writeFileSync} from 'node:fs';
import {createGenerator} from 'ts-json-schema-generator';

const roots = ['KnownBlock', 'ModalView', 'HomeView', 'MessageAttachment', 'PlainTextOption', 'OptionGroup', 'MessageMetadata'];

const generator = createGenerator({
  path: new URL('node_modules/@slack/types/dist/index.d.ts', import.meta.url).pathname,
  type: '*', expose: 'export', jsDoc: 'extended',
  topRef: true, skipTypeCheck: true, additionalProperties: false,
});
const defs = {};
for (const root of roots) Object.assign(defs, generator.createSchema(root).definitions);

// Sentences with a number, or a word, that looks like a limit and is none that a schema can hold.
const notALimit = [
  /A limited style object/,
  /cannot be (greater|less) than/,
  /^`?text`? may truncate/,
  /number of lines of text shown/,
  /length of input that the user/,
  /maximum number of items that can be selected/,
  /Maximum number of files that can be uploaded/,
  /include no more than 2-3 field/,
  /resized to a maximum width/,
  /file size of the image/,
  /each column/,
  /must (be )?(provided|provide|an image|unique|a \{@link)/i,
];

const limits = [];
const number = (s) => Number(s.replace(/,/g, ''));

/** Reads one sentence; returns what it limits, or null. */
function limitOf(sentence) {
  let m;
  const found = {};
  if ((m = sentence.match(/min(?:imum)? length\b.*?\bis (\d+)/i))) found.minLength = number(m[1]);
  if ((m = sentence.match(/max(?:imum)? length\b.*?\b([\d,]+)\s+characters/i))) found.maxLength = number(m[1]);
  if ((m = sentence.match(/limit(?:ed to)? ([\d,]+) characters/i))) found.maxLength = number(m[1]);
  if ((m = sentence.match(/less than ([\d,]+) characters/i))) found.maxLength = number(m[1]) - 1;
  if ((m = sentence.match(/array with a max of (\d+)/i))) found.maxCells = number(m[1]);
  else if ((m = sentence.match(/(?:max(?:imum)?(?: number)?(?: of)?|up to) (?:(?:items|options|option groups) is )?(\d+)(?: \{@link|\s+(?:options|elements|items|rows|blocks|cards))?/i)) &&
    /items|options|option groups|elements|rows|blocks|cards|array/i.test(sentence)) found.maxItems = number(m[1]);
  if ((m = sentence.match(/minimum (\d+), maximum (\d+) cards/i))) Object.assign(found, {minItems: number(m[1]), maxItems: number(m[2])});
  if ((m = sentence.match(/between (\d+) and (\d+)/i))) Object.assign(found, {minimum: number(m[1]), maximum: number(m[2])});
  if ((m = sentence.match(/min(?:imum of)? `(\d+)`, max(?:imum of)? `(\d+)`/i))) Object.assign(found, {minimum: number(m[1]), maximum: number(m[2])});
  if ((m = sentence.match(/maximum value is (\d+)/i))) found.maximum = number(m[1]);
  if ((m = sentence.match(/minimum number is (\d+)/i))) found.minimum = number(m[1]);
  return Object.keys(found).length ? found : null;
}

const isArray = (s) => s.type === 'array';
const isString = (s) => s.type === 'string' || (Array.isArray(s.type) && s.type.includes('string'));

/** Puts a mined limit where it belongs; false when the property is of no fitting type. */
function apply(schema, limit, sentence) {
  const target = /each item/.test(sentence) ? schema.items : schema;
  for (const [key, value] of Object.entries(limit)) {
    if (key === 'maxCells') schema.items.maxItems = value;
    else if (key.endsWith('Items') ? isArray(target) : key.endsWith('Length') ? isString(target) : target.type === 'number') target[key] = value;
    else if (key.endsWith('Length') && (target.$ref || target.anyOf)) {
      target.properties = {text: {...target.properties?.text, [key]: value}};
    } else return false;
  }
  return true;
}

function mine(schema, where) {
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    const prose = (property.description ?? '').replace(/\s+/g, ' ').replace(/\{@link https?:[^}]*\}/g, '');
    for (const sentence of prose.split(/(?<=\.)\s+/)) {
      const limit = limitOf(sentence);
      if (limit) {
        if (!apply(property, limit, sentence)) throw new Error(`${where}.${name}: nowhere to put ${JSON.stringify(limit)} of "${sentence}"`);
        limits.push(`${where}.${name} ${JSON.stringify(limit)}`);
      } else if (/\b(max|maximum|min|minimum|limit|limited|up to|at most|no more|less than|fewer than)\b/i.test(sentence) && !notALimit.some((re) => re.test(sentence))) {
        throw new Error(`${where}.${name}: is this a limit? "${sentence}"`);
      }
    }
    mine(property, `${where}.${name}`);
  }
  for (const member of [...(schema.anyOf ?? []), ...(schema.allOf ?? [])]) mine(member, where);
  if (schema.items && !Array.isArray(schema.items)) mine(schema.items, where);
}
for (const [name, schema] of Object.entries(defs)) mine(schema, name);

// "AnyBlock" admits any object that has a type; Slack does not.
defs.AnyBlock = {$ref: '#/definitions/KnownBlock'};

// The select menus repeat the shape of an option group without its limits.
for (const name of ['StaticSelect', 'MultiStaticSelect']) {
  const {label, options} = defs[name].properties.option_groups.items.properties;
  label.properties = defs.OptionGroup.properties.label.properties;
  options.maxItems = defs.OptionGroup.properties.options.maxItems;
}

const resolve = (s) => (s.$ref ? resolve(defs[decodeURIComponent(s.$ref.replace('#/definitions/', ''))]) : s);
const flatten = (s) => (resolve(s).anyOf && Object.keys(resolve(s)).every((k) => k === 'anyOf' || k === 'description') ? resolve(s).anyOf.flatMap(flatten) : [s]);

/** A union told apart by "type" becomes if/then per type, so that an error names the place and not the union. */
function discriminate(schema) {
  if (!schema.anyOf) return schema;
  const byType = group(schema.anyOf.flatMap(flatten), typeOf);
  if (byType.size < 2 || byType.has(undefined)) return schema;
  const {anyOf, ...rest} = schema;
  return {
    ...rest, type: 'object', required: ['type'],
    allOf: [
      {properties: {type: {enum: [...byType.keys()]}}},
      ...[...byType].map(([type, members]) => ({
        if: {properties: {type: {const: type}}},
        then: members.length === 1 ? members[0] : {anyOf: members},
      })),
    ],
  };
}

const typeOf = (member) => resolve(member).properties?.type?.const;

function group(list, key) {
  const groups = new Map();
  for (const item of list) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

/** Drops prose, keeps "deprecated" legal (a boolean in 2020-12) and renames what 2020-12 names otherwise. */
function clean(node) {
  if (Array.isArray(node)) return node.map(clean);
  if (node === null || typeof node !== 'object') return node;
  const out = {};
  for (const [key, value] of Object.entries(discriminate(node))) {
    if (key === 'description' && typeof value === 'string') continue;
    if (['deprecated', 'see', 'example', 'default', 'title'].includes(key) && typeof value === 'string') continue;
    out[key] = key === '$ref' ? value.replace('#/definitions/', '#/$defs/') : clean(value);
  }
  return out;
}

const version = JSON.parse(readFileSync(new URL('node_modules/@slack/types/package.json', import.meta.url))).version;
const $defs = Object.fromEntries(Object.keys(defs).sort().map((name) => [name, clean(defs[name])]));
const schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $comment: `generated by schema/generate.mjs from @slack/types ${version} with ${limits.length} limits of its doc comments; MIT, (c) Slack Technologies`,
  $defs,
};
const verbose = process.argv.includes('-v');
const [out = new URL('../blockkit.schema.json', import.meta.url)] = process.argv.slice(2).filter((a) => a !== '-v');
writeFileSync(out, JSON.stringify(schema) + '\n');
console.log(`${Object.keys($defs).length} definitions, ${limits.length} limits`);
if (verbose) console.log(limits.join('\n'));
