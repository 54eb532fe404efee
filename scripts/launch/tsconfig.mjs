import fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, isAbsolute, resolve } from 'node:path';

/**
 * A tsconfig.json and those it extends, as far as they decide what an import means and what a file compiles to.
 * `refused`: it says something that is left to tsx.
 * @typedef {object} Tsconfig
 * @property {string | null} file
 * @property {readonly string[]} files
 * @property {ReadonlyMap<string, string>} paths
 * @property {Options} options
 * @property {string | null} refused
 */

/**
 * @typedef {{ readonly paths?: Readonly<Record<string, readonly string[]>>, readonly [name: string]: unknown }} Options
 * @typedef {{ readonly extends?: string | readonly string[], readonly compilerOptions?: Options }} File
 */

/**
 * @param {string | null} file
 * @returns {Tsconfig}
 */
export function readTsconfigs(file) {
  /** @type {string[]} */
  const files = [];
  /** @type {Options} */
  let options = {};
  let pathsFrom = '';
  const read = (/** @type {string} */ path) => {
    files.push(path);
    const text = plainJson(fs.readFileSync(path, 'utf8'));
    const { extends: more = [], compilerOptions = {} } = /** @type {File} */ (JSON.parse(text));
    for (const one of [more].flat()) read(extended(path, one));
    if (compilerOptions.paths) pathsFrom = dirname(path);
    options = { ...options, ...compilerOptions };
  };
  try {
    if (file !== null) read(file);
  } catch (error) {
    return { file, files, paths: new Map(), options, refused: String(error) };
  }
  const entries = Object.entries(options.paths ?? {});
  const odd = entries.find(([name, to]) => name.includes('*') || to.length !== 1);
  const refused = odd ? `tsconfig paths: ${odd[0]}` : 'baseUrl' in options ? 'tsconfig baseUrl' : null;
  const paths = new Map(entries.map(([name, [to = '']]) => [name, resolve(pathsFrom, to)]));
  return { file, files, paths, options, refused };
}

/** @type {(path: string, name: string) => string} */
function extended(path, name) {
  if (!isAbsolute(name) && !name.startsWith('.')) return createRequire(path).resolve(name);
  const file = resolve(dirname(path), name);
  return fs.existsSync(file) ? file : `${file}.json`;
}

/**
 * JSON without comments, and without commas at the end of a list.
 * @param {string} text
 */
const plainJson = (text) =>
  text
    .replace(/("(?:[^"\\]|\\.)*")|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, '$1')
    .replace(/("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])/g, '$1');
