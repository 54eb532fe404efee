/**
 * Runs the `tasks.ts` that its command line names first: `node launch.cjs tasks.ts deploy` is
 * `node --import tsx tasks.ts deploy`, in the same one process, from a bundle of it where there is a valid one
 * (docs/decisions/0023). This file is plain JavaScript, and all that a fresh start reads before the bundle; no module, since
 * to load one takes Node longer than all that is done here.
 */
'use strict';

const fs = process.getBuiltinModule('node:fs');
const path = process.getBuiltinModule('node:path');
const { fileURLToPath, pathToFileURL } = process.getBuiltinModule('node:url');

/**
 * What a bundle was made from. A file whose `stat` (size, mtime and ctime in ns, inode) is `null` was too young for
 * its times to tell of a later change.
 * @typedef {{ path: string, stat: readonly string[] | null, sha256: string }} Source
 * @typedef {object} Manifest
 * @property {string} key
 * @property {string | null} bundle Name of the file beside; `null`: this project is not to be bundled.
 * @property {readonly Source[]} sources
 * @property {readonly string[]} absent Paths at which a file would take the place of a source.
 * @property {readonly (readonly [path: string, real: string])[]} links
 */

/** Of the manifest, and of what the builder makes of a project. */
const VERSION = 1;
/** Options of Node with which a module may be another one than the bundle holds. */
const OTHER_MODULES =
  /(^|\s)(-r|-C|--(require|import|loader|experimental-loader|conditions|preserve-symlinks|no-addons|no-(experimental-)?require-module))/;

/** @param {string} tasks absolute */
async function launch(tasks) {
  const real = fs.realpathSync(tasks);
  const folder = path.join(path.dirname(real), '.slipway', 'bundle', process.versions.node);
  const key = JSON.stringify([VERSION, process.versions.node, real]);
  const found = othersModules() ? null : read(folder);
  const validity = found?.key === key ? validityOf(found) : 'stale';
  if (validity !== 'fresh' && !othersModules()) announce(real, folder, key);
  if (!found?.bundle || validity === 'stale') return underTsx(real);
  const bundle = path.join(folder, found.bundle);
  giveUp = (why) => doWithout(folder, found, why);
  mapStacks(bundle);
  await (bundle.endsWith('.mjs') ? import(pathToFileURL(bundle).href) : runScript(bundle));
}

/**
 * What V8 compiled is kept beside the bundle, after a run that was performed: with it, nothing is parsed that is not
 * used. V8 itself refuses what another version, or the same with other options, has made.
 * @param {string} bundle
 */
function runScript(bundle) {
  const vm = process.getBuiltinModule('node:vm');
  const code = compiledCode(`${bundle}.code`);
  const script = new vm.Script(fs.readFileSync(bundle, 'utf8'), {
    filename: pathToFileURL(bundle).href,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    ...(code && { cachedData: code }),
  });
  if (code === null || script.cachedDataRejected === true)
    afterwards ??= () => keepCode(`${bundle}.code`, script.createCachedData());
  /** @type {unknown} */
  const run = script.runInThisContext();
  return /** @type {() => Promise<void>} */ (run)();
}

/** Bytes of the digest that a file of compiled code begins with: V8 trusts what it is given. */
const DIGEST_BYTES = 32;

/**
 * @param {string} file
 * @returns {Buffer | null}
 */
function compiledCode(file) {
  try {
    const bytes = fs.readFileSync(file);
    const code = bytes.subarray(DIGEST_BYTES);
    return digestOf(code).equals(bytes.subarray(0, DIGEST_BYTES)) ? code : null;
  } catch {
    return null;
  }
}

/** @type {(file: string, code: Buffer) => void} */
function keepCode(file, code) {
  const beside = `${file}.${String(process.pid)}.tmp`;
  try {
    fs.writeFileSync(beside, Buffer.concat([digestOf(code), code]), { mode: 0o600, flag: 'wx' });
    fs.renameSync(beside, file);
  } catch {
    // A full disk: it is compiled again next time.
    fs.rmSync(beside, { force: true });
  }
}

/** @type {(bytes: Buffer) => Buffer} */
const digestOf = (bytes) => process.getBuiltinModule('node:crypto').hash('sha256', bytes, 'buffer');

/**
 * Leaves a project whose bundle could not be loaded to tsx, whatever is edited in its own files; whether that could be
 * written down. Set where a bundle is run.
 * @type {((why: string) => boolean) | undefined}
 */
let giveUp;

/** @type {(folder: string, manifest: Manifest, refused: string) => boolean} */
function doWithout(folder, manifest, refused) {
  const file = path.join(folder, 'manifest.json');
  const beside = `${file}.${String(process.pid)}.tmp`;
  try {
    const others = manifest.sources.filter(({ path }) => path.endsWith('.json') || path.startsWith(__dirname));
    const sources = others.map((source) => ({ ...source, stat: statOf(source.path) }));
    fs.writeFileSync(beside, JSON.stringify({ ...manifest, bundle: null, refused, sources }), { mode: 0o600 });
    fs.renameSync(beside, file);
    return true;
  } catch {
    return false;
  }
}

/** What a bundle calls in place of an `import()` of its own. */
/** @type {Record<symbol, unknown>} */ (globalThis)[Symbol.for('slipway.import')] = (/** @type {string} */ href) =>
  import(href);

/** Without it Node may not know how to load a `tasks.ts`. */
/** @type {Record<symbol, unknown>} */ (globalThis)[Symbol.for('slipway.launcher')] = __filename;

const othersModules = () =>
  OTHER_MODULES.test([...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')) ||
  process.env['TSX_TSCONFIG_PATH'] !== undefined;

/**
 * A folder that others may enter was not made by us: it came with the checkout, perhaps, and nobody looked at it.
 * @param {string} folder
 * @returns {Manifest | null}
 */
function read(folder) {
  try {
    const { mode, uid } = fs.statSync(folder);
    if ((mode & 0o077) !== 0 || uid !== process.getuid?.()) return null;
    return /** @type {Manifest} */ (JSON.parse(fs.readFileSync(path.join(folder, 'manifest.json'), 'utf8')));
  } catch {
    return null;
  }
}

/**
 * `same`: only by content; what `stat` says is to be taken down again.
 * @param {Manifest} manifest
 * @returns {'fresh' | 'same' | 'stale'}
 */
function validityOf({ sources, absent, links }) {
  try {
    if (absent.some((path) => fs.existsSync(path))) return 'stale';
    if (links.some(([path, real]) => fs.realpathSync(path) !== real)) return 'stale';
    const touched = sources.filter(({ path, stat }) => !isAsBefore(path, stat));
    if (touched.length === 0) return 'fresh';
    const crypto = process.getBuiltinModule('node:crypto');
    const same = touched.every(
      ({ path, sha256 }) => crypto.createHash('sha256').update(fs.readFileSync(path)).digest('hex') === sha256,
    );
    return same ? 'same' : 'stale';
  } catch {
    return 'stale';
  }
}

/** @type {(path: string, stat: readonly string[] | null) => boolean} */
function isAsBefore(path, stat) {
  return stat !== null && statOf(path).every((part, at) => part === stat[at]);
}

/** @type {(path: string) => readonly string[]} */
function statOf(path) {
  const { size, mtimeNs, ctimeNs, ino } = fs.statSync(path, { bigint: true });
  return [size, mtimeNs, ctimeNs, ino].map(String);
}

/**
 * What is done after a run that was performed. Whatever else is asked writes nothing.
 * @type {(() => void) | undefined}
 */
let afterwards;
/** @type {Record<symbol, unknown>} */ (globalThis)[Symbol.for('slipway.performed')] = () => afterwards?.();

/**
 * A run that was performed has the bundle made for the next one, in a process of its own, so that nobody waits.
 * @type {(tasks: string, folder: string, key: string) => void}
 */
function announce(tasks, folder, key) {
  afterwards = () => {
    const { spawn } = process.getBuiltinModule('node:child_process');
    const builder = path.join(__dirname, 'launch/build.mjs');
    // What Node is told to do with this process, a profile say, is not meant for that one.
    const env = { ...process.env, NODE_OPTIONS: undefined, NODE_V8_COVERAGE: undefined };
    spawn(process.execPath, [builder, tasks, folder, key, ...loadedByTsx()], { detached: true, stdio: 'ignore', env })
      .on('error', () => undefined)
      .unref();
  };
}

/** @type {Set<string>} */
const imported = new Set();

/** What Node alone would not have loaded: a bundle holds all of it, or is none. */
function loadedByTsx() {
  const files = [...imported]
    .filter((url) => url.startsWith('file:'))
    .map((url) => fileURLToPath(url.split('?')[0] ?? ''));
  return [...files, ...Object.keys(require.cache)].filter((file) => /\.([cm]?ts|[jt]sx)$/.test(file));
}

/** @param {string} tasks */
async function underTsx(tasks) {
  const { register } = await import('tsx/esm/api');
  const { nearest } = await import('./launch/nearest.mjs');
  const tsconfig = nearest(path.dirname(tasks), 'tsconfig.json').found;
  const onImport = (/** @type {string} */ url) => void imported.add(url);
  register({ onImport, ...(tsconfig !== null && { tsconfig }) });
  await requireUnderTsx(tsconfig);
  await import(pathToFileURL(tasks).href);
}

/**
 * The same for `require`, which is told in the environment which tsconfig.json is meant; what this starts is not.
 * @param {string | null} tsconfig
 */
async function requireUnderTsx(tsconfig) {
  const { register } = await import('tsx/cjs/api');
  const { TSX_TSCONFIG_PATH: told } = process.env;
  if (tsconfig !== null) process.env['TSX_TSCONFIG_PATH'] = tsconfig;
  register();
  if (told === undefined) delete process.env['TSX_TSCONFIG_PATH'];
  else process.env['TSX_TSCONFIG_PATH'] = told;
}

/**
 * Stacks name the files that people wrote. The map is read when a stack is first looked at.
 * @param {string} bundle
 */
function mapStacks(bundle) {
  /** @type {import('node:module').SourceMap | null | undefined} */
  let map;
  const url = pathToFileURL(bundle).href;
  /** @type {(frame: string) => string} */
  const original = (frame) => {
    const [, before = '', line, column, after = ''] = /^(.*?):(\d+):(\d+)(\)?)$/.exec(frame) ?? [];
    if (!before.endsWith(url)) return frame;
    map ??= readMap(bundle);
    const entry = map?.findEntry(Number(line) - 1, Number(column) - 1);
    if (!entry || !('originalSource' in entry)) return frame;
    const at = `${String(entry.originalLine + 1)}:${String(entry.originalColumn + 1)}`;
    return `${before.slice(0, -url.length)}${entry.originalSource}:${at}${after}`;
  };
  Error.prepareStackTrace = (error, frames) =>
    [String(error), ...frames.map((frame) => `    at ${original(frame.toString())}`)].join('\n');
}

/** Until every task that was asked for is recorded, what is thrown is a mistake in `tasks.ts`, and nothing ran. */
let planned = false;
/** @type {Record<symbol, unknown>} */ (globalThis)[Symbol.for('slipway.planned')] = () => (planned = true);

/** Our own names tell nobody anything; `ReferenceError` does. */
const UNNAMED = new Set(['Error', 'TypeError']);
const NO_MODULE = 'a tasks.ts is a module: write "type": "module" into its package.json, or name it tasks.mts';
/** Codes of what could not be found, or not be loaded. */
const UNREADABLE = /^(ERR_)?(MODULE_NOT_FOUND|REQUIRE_\w+|UNKNOWN_FILE_EXTENSION|PACKAGE_PATH_NOT_EXPORTED)$/;
/** Codes of what Node alone does not load, and tsx may. */
const NEEDS_TSX =
  /^(ERR_)?(MODULE_NOT_FOUND|UNKNOWN_FILE_EXTENSION|(UNSUPPORTED|INVALID)_TYPESCRIPT_SYNTAX|UNSUPPORTED_(NODE_MODULES_TYPE_STRIPPING|DIR_IMPORT)|IMPORT_(ASSERTION|ATTRIBUTE)_\w+|REQUIRE_\w+)$/;
const WITHOUT = 'the bundle of this project cannot load it: run it again, from now on it is run without one';
/** Most places that are named. */
const MAX_FRAMES = 3;

/**
 * What is wrong, and where in the files of the project; the whole stack where it names none of them.
 * @type {(error: unknown) => void}
 */
function tellMistake(error) {
  const thrown = /** @type {Error & { hint?: string, code?: string }} */ (
    error instanceof Error ? error : { name: 'Error', message: String(error) }
  );
  const { name, message, stack, cause } = thrown;
  const code = typeof thrown.code === 'string' ? thrown.code : '';
  // Node says it in its way, esbuild in another.
  const required = code.startsWith('ERR_REQUIRE_') || message.includes('with the "cjs" output format');
  const isNoModule = required && message.includes(process.argv[1] ?? '');
  const isUnread = NEEDS_TSX.test(code) || (name === 'SyntaxError' && !stack?.includes('JSON.parse'));
  const hint = isNoModule ? NO_MODULE : isUnread && giveUp?.(message) === true ? WITHOUT : thrown.hint;
  const root = path.dirname(__dirname);
  const others = ['node:', '/node_modules/', `${root}/lib/`, `${root}/dist/`, `${root}/scripts/launch`];
  const frames = (stack ?? '').split('\n').filter((line) => /^ {4}at .*:\d+:\d+\)?$/.test(line));
  const own = frames.filter((frame) => !others.some((other) => frame.includes(other)));
  // What cannot be read says by itself where, and was thrown by who reads it.
  const isRead = name === 'SyntaxError' || name === 'TransformError' || UNREADABLE.test(code);
  const places = own.length > 0 ? own.slice(0, MAX_FRAMES) : isRead ? [] : frames;
  const what = UNNAMED.has(name) || name === 'TransformError' ? message : `${name}: ${message}`;
  const why = cause instanceof Error ? [`  because: ${cause.message}`] : [];
  const lines = [`slipway: ${what}`, ...why, ...(hint === undefined ? [] : [`  ${hint}`]), ...places];
  process.stderr.write(`${lines.join('\n')}\n`);
}

/** @param {string} bundle */
function readMap(bundle) {
  try {
    const { SourceMap } = process.getBuiltinModule('node:module');
    return new SourceMap(
      /** @type {import('node:module').SourceMapPayload} */ (JSON.parse(fs.readFileSync(`${bundle}.map`, 'utf8'))),
    );
  } catch {
    return null;
  }
}

/** Node's own status for it. */
const UNSETTLED = 13;
const USAGE = 2;
const NO_MAIN = 'never calls main, so nothing was done\n  write at its end: await main(import.meta, { tasks: [ … ] })';
const [, , tasks] = process.argv;
if (tasks === undefined) throw new Error('launch.cjs is told which tasks.ts to run');
// From here on the command line is that of `node tasks.ts …`.
process.argv.splice(1, 2, path.resolve(tasks));
let called = false;
/** @type {Record<symbol, unknown>} */ (globalThis)[Symbol.for('slipway.called')] = () => (called = true);
let settled = false;
process.on('exit', (code) => {
  // Whoever comes to the end of `main` sets a status.
  if (code !== 0 || process.exitCode !== undefined) return;
  const does = called || !settled;
  process.stderr.write(`slipway: ${tasks} ${does ? 'waits for something that never comes' : NO_MAIN}\n`);
  // Node does the same for a module that is awaited, and never settles.
  process.exitCode = does ? UNSETTLED : USAGE;
});
launch(path.resolve(tasks)).then(
  () => (settled = true),
  (/** @type {unknown} */ error) => {
    settled = true;
    if (!planned) {
      tellMistake(error);
      // Whatever it left open.
      process.exit(USAGE);
    }
    process.nextTick(() => {
      throw error;
    });
  },
);
