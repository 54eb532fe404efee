/** Makes the bundle that `launch.cjs` runs: `node build.mjs TASKS FOLDER KEY LOADED …`. Nobody waits for it, and nobody hears of it. */
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { isBuiltin } from 'node:module';
import os from 'node:os';
import { dirname, extname, join, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import vm from 'node:vm';
import * as esbuild from 'esbuild';
import { nearest } from './nearest.mjs';
import { readTsconfigs } from './tsconfig.mjs';

/**
 * Packages that are plain code: ours, and what it is made of. All others stay where they are, and what is imported from
 * there at the top of any module is loaded at each start.
 */
const BUNDLED = ['slipway', 'cac', 'picomatch', 'string-width', 'strip-ansi', 'ansi-regex', 'get-east-asian-width'];
/** @type {Record<string, esbuild.Loader>} */
const LOADERS = { '.ts': 'ts', '.mts': 'ts', '.js': 'js', '.mjs': 'js', '.cjs': 'js', '.json': 'json' };
/**
 * What tsx looks for, in this order, where TypeScript names a file of this ending.
 * @type {Record<string, readonly string[]>}
 */
const MEANT = {
  '.js': ['.ts', '.tsx', '.js', '.jsx'],
  '.jsx': ['.tsx', '.ts', '.jsx', '.js'],
  '.mjs': ['.mts', '.mjs'],
  '.cjs': ['.cts', '.cjs'],
};
/** Node's own, beyond those of which esbuild knows. This process is of the same Node, and told nothing. */
const CONDITIONS = ['node-addons', ...(process.features.require_module ? ['module-sync'] : [])];
/** What esbuild calls the one line that imports `tasks.ts`. */
const ENTRY = '<stdin>';
/** A file changed so shortly before it was read may change again without its times telling; in ms. */
const RACY_MS = 2_000;
/** So far a file's times may lie behind the clock; in ms. */
const CLOCK_MS = 20;
/** A builder that began so long ago has died; in ms. */
const ABANDONED_MS = 60_000;

/** The project is one of which a bundle might do something else than its sources. */
class Refused extends Error {}

class Builder {
  /** @type {Map<string, { path: string, stat: readonly string[] | null, sha256: string }>} */
  #sources = new Map();
  /** @type {Set<string>} */
  #absent = new Set();
  /** @type {Map<string, string>} */
  #links = new Map();
  /** What is loaded late and from outside: what stands for it while esbuild works, and what then takes its place. */
  /** @type {Map<string, string>} */
  #late = new Map();
  /** @type {string} */
  #tasks;
  /** @type {ReturnType<typeof readTsconfigs>} */
  #tsconfig;
  #beganMs = Date.now();

  /** @param {string} tasks */
  constructor(tasks) {
    this.#tasks = tasks;
    const { found, absent } = nearest(dirname(tasks), 'tsconfig.json');
    for (const path of absent) this.#absent.add(path);
    this.#tsconfig = readTsconfigs(found);
    for (const path of this.#tsconfig.files) this.#source(path);
    const own = ['../launch.cjs', 'build.mjs', 'nearest.mjs', 'tsconfig.mjs'];
    for (const name of own) this.#source(fileURLToPath(new URL(name, import.meta.url)));
    for (const name of ['esbuild', 'tsx']) this.#source(this.#package(import.meta.dirname, name).manifest);
  }

  /** What decides about the bundle, as the manifest holds it. */
  inputs() {
    return { sources: [...this.#sources.values()], absent: [...this.#absent], links: [...this.#links] };
  }

  /** @param {readonly string[]} loaded all TypeScript that the run before this loaded */
  async build(loaded) {
    const { refused } = this.#tsconfig;
    if (refused !== null) throw new Refused(refused);
    const result = await esbuild.build({
      // Imported, so that what it exports is not asked for: a script exports nothing.
      stdin: { contents: `import ${JSON.stringify(this.#tasks)};`, resolveDir: dirname(this.#tasks) },
      bundle: true,
      write: false,
      metafile: true,
      outfile: 'tasks.mjs',
      format: 'esm',
      platform: 'node',
      target: `node${process.versions.node}`,
      // As Node resolves, which knows no such condition as "module", and drops nothing that a package calls pure.
      conditions: CONDITIONS,
      mainFields: ['main'],
      ignoreAnnotations: true,
      minifyWhitespace: true,
      minifyIdentifiers: true,
      lineLimit: 160,
      sourcemap: 'external',
      sourcesContent: false,
      legalComments: 'none',
      logLevel: 'silent',
      ...(this.#tsconfig.file === null ? { tsconfigRaw: {} } : { tsconfig: this.#tsconfig.file }),
      plugins: [{ name: 'slipway', setup: (build) => this.#plugin(build) }],
    });
    for (const [path, { format, imports }] of Object.entries(result.metafile.inputs)) {
      if (format === 'cjs' && !path.startsWith('node:') && !isInside(path, 'node_modules'))
        throw new Refused(`${path} is no module`);
      // A bundle that is a module has no `require`.
      if (imports.some(({ kind, external }) => kind === 'require-call' && external))
        throw new Refused(`${path} requires`);
    }
    const more = loaded.find((path) => !isOurs(path) && !this.#sources.has(path));
    if (more !== undefined) throw new Refused(`${more} is loaded from outside the bundle`);
    for (const { path } of [...this.#sources.values()]) this.#manifestOf(path);
    this.#refuseChanged();
    const [map, code] = result.outputFiles;
    if (!map || !code) throw new Error('esbuild made no bundle');
    return asScript(this.#withLate(code.text), absolute(map.text));
  }

  /**
   * V8's kept code does not tell Node whose `import()` it is, and Node refuses it: the launcher's own does it instead.
   * @param {string} href
   */
  #lateImport(href) {
    const becomes = `globalThis[Symbol.for("slipway.import")](${JSON.stringify(href)})`;
    const name = `late-${randomBytes(8).toString('hex')}`;
    // As long as what takes its place: the source map stays true.
    const path = name.padEnd(becomes.length - 'import("")'.length, '-');
    this.#late.set(`import("${path}")`, becomes);
    return { path, external: true };
  }

  /** @param {string} code */
  #withLate(code) {
    let text = code;
    for (const [stands, becomes] of this.#late) text = text.replaceAll(stands, () => becomes);
    if ([...this.#late.keys()].some((stands) => text.includes(stands.slice('import("'.length, -2).replace(/-*$/, ''))))
      throw new Refused('a package is imported with more than its name');
    return text;
  }

  /** @param {esbuild.PluginBuild} build */
  #plugin(build) {
    build.onResolve({ filter: /.*/ }, (args) => {
      if (args.pluginData === this) return undefined;
      if (isBuiltin(args.path)) return { path: args.path, namespace: 'node' };
      return this.#resolve(build, args);
    });
    build.onLoad({ filter: /.*/, namespace: 'file' }, ({ path }) => this.#load(path));
    // Each is loaded when the first module that imports it is: one import at the top of a bundle would load them all.
    build.onLoad({ filter: /.*/, namespace: 'node' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
    }));
  }

  /**
   * @param {esbuild.PluginBuild} build
   * @param {esbuild.OnResolveArgs} args
   */
  async #resolve(build, { path, importer, resolveDir, kind }) {
    const isPath = /^\.{0,2}\//.test(path);
    const alias = isPath ? undefined : this.#tsconfig.paths.get(path);
    if (alias !== undefined) return this.#exactly(alias, path, importer);
    const ask = async () => {
      const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: this });
      if (found.errors.length > 0) throw new Refused(`${importer} imports ${path}, which is not there`);
      return found.path;
    };
    const ofPackage = isInside(importer, 'node_modules');
    if (isPath && ofPackage) return { path: await ask() };
    // In an address these mean something else than in a path.
    if (isPath && importer !== ENTRY && /[%?#\\]/.test(path)) throw new Refused(`${importer} imports ${path}`);
    if (isPath) return this.#exactly(resolve(resolveDir, path), path, importer);
    if (!/^[@\w]/.test(path) || /^\w+:/.test(path)) throw new Refused(`${importer} imports ${path}`);
    const name = path.split('/', path.startsWith('@') ? 2 : 1).join('/');
    const found = this.#package(resolveDir, name);
    if (BUNDLED.includes(name)) return { path: await ask() };
    this.#source(found.manifest);
    if (found.needs.includes('slipway')) throw new Refused(`${name} would load another slipway`);
    const file = await ask();
    // What such a folder means a package.json of its own says.
    if (path !== name && !found.hasExports && file !== found.folder + path.slice(name.length))
      throw new Refused(`${path} is no file's whole name`);
    if (!['.js', '.mjs', '.cjs', '.json'].includes(extname(file))) throw new Refused(`${name} is not compiled`);
    const { href } = pathToFileURL(file);
    return kind === 'dynamic-import' ? this.#lateImport(href) : { path: href, external: true };
  }

  /**
   * A file that is named whole: of those that tsx would take for it the first, and none that comes before appears later.
   * @type {(path: string, said: string, importer: string) => { path: string }}
   */
  #exactly(path, said, importer) {
    const { allowJs, checkJs } = this.#tsconfig.options;
    const end = extname(path);
    const meant = (MEANT[end] ?? [end]).map((one) => path.slice(0, path.length - end.length) + one);
    // Node's own answer comes first for what JavaScript imports, and for what is named from the root.
    const asTypeScript = /\.[cm]?ts$/.test(importer) || (allowJs ?? checkJs) === true;
    const asked = asTypeScript && !said.startsWith('/') ? meant : [path, ...meant];
    const found = asked.find((one) => fs.existsSync(one));
    for (const one of found === undefined ? asked : asked.slice(0, asked.indexOf(found))) this.#absent.add(one);
    if (found === undefined || !fs.statSync(found).isFile()) throw new Refused(`${said} is no file's whole name`);
    return { path: this.#real(found) };
  }

  /** @param {string} path */
  #real(path) {
    const real = fs.realpathSync(path);
    if (real !== path) this.#links.set(path, real);
    return real;
  }

  /**
   * Where Node finds a package.
   * @type {(folder: string, name: string) => { folder: string, manifest: string, needs: readonly string[], hasExports: boolean }}
   */
  #package(folder, name) {
    const { found, absent } = nearest(folder, join('node_modules', name));
    for (const path of absent) this.#absent.add(path);
    if (found === null) throw new Refused(`${name} is not installed`);
    const real = this.#real(found);
    const manifest = join(real, 'package.json');
    const { dependencies, peerDependencies, exports } =
      /** @type {Record<'dependencies' | 'peerDependencies' | 'exports', Record<string, string> | undefined>} */ (
        JSON.parse(fs.readFileSync(manifest, 'utf8'))
      );
    const needs = Object.keys({ ...dependencies, ...peerDependencies });
    return { folder: real, manifest, needs, hasExports: exports != null };
  }

  /**
   * @param {string} path
   * @returns {Promise<esbuild.OnLoadResult>}
   */
  async #load(path) {
    const loader = LOADERS[extname(path)];
    if (loader === undefined) throw new Refused(`${path} is neither TypeScript nor JavaScript`);
    const text = this.#source(path);
    if (!isOurs(path) && !isInside(path, 'node_modules')) refuseText(path, text);
    const asItIs = isInside(path, 'node_modules') && !isOurs(path) && !text.includes('import.meta');
    if (loader === 'json' || asItIs) return { contents: text, loader };
    // In a bundle `import.meta` would be the bundle's.
    const meta = { url: pathToFileURL(path).href, filename: path, dirname: dirname(path) };
    const { code } = await esbuild.transform(text, {
      loader,
      format: 'esm',
      sourcemap: 'inline',
      sourcefile: path,
      // Two of one name get different ones in a bundle. Only what others wrote may care, and it costs a call for each.
      keepNames: !isOurs(path),
      tsconfigRaw: JSON.stringify({ compilerOptions: this.#tsconfig.options }),
      define: {
        ...Object.fromEntries(
          Object.entries(meta).map(([name, value]) => [`import.meta.${name}`, JSON.stringify(value)]),
        ),
        'import.meta': JSON.stringify(meta),
      },
    });
    // As esbuild prints it, no comment stands between.
    if (!isOurs(path) && !isInside(path, 'node_modules')) refuseText(path, code);
    if (path !== this.#tasks && !isOurs(path)) await refuseWaiting(path, code);
    return { contents: isOurs(path) ? withoutFacades(code) : code, loader: 'js' };
  }

  /**
   * Takes a file down as it is now.
   * @param {string} path
   */
  #source(path) {
    const { size, mtimeNs, ctimeNs, ino } = fs.statSync(path, { bigint: true });
    const isOld = Date.now() - Number(ctimeNs / 1_000_000n) >= RACY_MS;
    const content = fs.readFileSync(path);
    const stat = isOld ? [size, mtimeNs, ctimeNs, ino].map(String) : null;
    this.#sources.set(path, { path, stat, sha256: sha256(content) });
    return content.toString('utf8');
  }

  /**
   * The package.json that says how a file is read.
   * @param {string} path
   */
  #manifestOf(path) {
    const { found, absent } = nearest(dirname(path), 'package.json');
    for (const one of absent) this.#absent.add(one);
    if (found !== null && !this.#sources.has(found)) this.#source(found);
  }

  /** What esbuild reads by itself, at some time of its own, must not have changed since this began. */
  #refuseChanged() {
    for (const path of this.#sources.keys())
      if (path.endsWith('.json') && fs.statSync(path).ctimeMs > this.#beganMs - CLOCK_MS)
        throw new Error(`${path} changed meanwhile`);
  }
}

/**
 * Constructs that would see another file, or another text, than they were written in.
 * @type {(path: string, text: string) => void}
 */
function refuseText(path, text) {
  // The text of an opaque step's function is a part of the plan's digest.
  const odd =
    /\b(opaque|createRequire)\b|\bimport\s*\((?!\s*('[^'\\\n]*'|"[^"\\\n]*")\s*[,)])|\bimport\.meta\.(?!(url|filename|dirname)\b)|=\s*import\.meta\s*[;,)]/.exec(
      text,
    );
  if (odd) throw new Refused(`${path} holds ${JSON.stringify(odd[0])}`);
}

/**
 * Modules that wait at their top do so side by side, and in a bundle one after the other.
 * @type {(path: string, code: string) => Promise<void>}
 */
async function refuseWaiting(path, code) {
  if (!/\bawait\b/.test(code)) return;
  // Only a module can wait, and esbuild says so.
  const waits = await esbuild.transform(code, { format: 'cjs', logLevel: 'silent' }).then(
    () => false,
    () => true,
  );
  if (waits) throw new Refused(`${path} awaits at its top`);
}

/** Modules of Node of which we only call functions, most runs none: loaded when one is called. */
const LATE = ['"node:child_process"', '"node:timers/promises"'];

/**
 * Takes what a module imports from Node straight from there: each name is copied otherwise, for each module that
 * imports any. Lines stay where they are.
 * @param {string} code as esbuild prints it
 */
function withoutFacades(code) {
  /** @type {(name: string, from: string) => string} */
  const late = (name, from) => {
    const [theirs = '', ours = theirs] = name.trim().split(' as ');
    return `${ours} = (...args) => process.getBuiltinModule(${from}).${theirs}(...args)`;
  };
  /** @type {(names: string, from: string) => string} */
  const named = (names, from) =>
    LATE.includes(from)
      ? names
          .split(',')
          .map((name) => late(name, from))
          .join(', ')
      : `{${names.replaceAll(' as ', ': ')}} = process.getBuiltinModule(${from})`;
  return code
    .replace(/^import (?:\* as )?(\w+) from ("node:[^"]+");$/gm, 'const $1 = process.getBuiltinModule($2);')
    .replace(
      /^import \{([^}]*)\} from ("node:[^"]+");$/gm,
      (_, /** @type {string} */ names, /** @type {string} */ from) => `const ${named(names, from)};`,
    );
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** @param {string} path */
const isOurs = (path) => path.startsWith(join(ROOT, 'lib') + sep) || path.startsWith(join(ROOT, 'dist') + sep);
/** @type {(path: string, folder: string) => boolean} */
const isInside = (path, folder) => path.split(/[\\/]/).includes(folder);
/** @param {string | Uint8Array} content */
const sha256 = (content) => createHash('sha256').update(content).digest('hex');

/**
 * As a script, of which V8's code can be kept, unless what a package that is not bundled exports is imported at the top:
 * then it stays a module.
 * @type {(code: string, map: string) => { end: '.js' | '.mjs', code: string, map: string }}
 */
function asScript(code, map) {
  const script = `(async () => {"use strict";\n${code}\n})`;
  try {
    new vm.Script(script);
  } catch {
    return { end: '.mjs', code, map };
  }
  const payload = /** @type {{ readonly mappings: string }} */ (JSON.parse(map));
  return { end: '.js', code: script, map: JSON.stringify({ ...payload, mappings: `;${payload.mappings}` }) };
}

/**
 * A source map whose sources are addresses: esbuild names them from the folder in which it runs.
 * @param {string} text
 */
function absolute(text) {
  const map = /** @type {{ readonly sources: readonly string[] }} */ (JSON.parse(text));
  return JSON.stringify({ ...map, sources: map.sources.map((path) => pathToFileURL(resolve(path)).href) });
}

/**
 * Whole or not at all.
 * @type {(path: string, content: string | Uint8Array) => void}
 */
function write(path, content) {
  const beside = `${path}.${String(process.pid)}.tmp`;
  try {
    fs.writeFileSync(beside, content, { mode: 0o600, flag: 'wx' });
    fs.renameSync(beside, path);
  } finally {
    fs.rmSync(beside, { force: true });
  }
}

/**
 * Old bundles go with the manifest's second successor: a process that read the one before may be about to load it.
 * @type {(folder: string, kept: string | null) => void}
 */
function removeOld(folder, kept) {
  const names = fs.readdirSync(folder).filter((name) => /^tasks-\w+\.m?js$/.test(name) && name !== kept);
  const byAge = names
    .map((name) => ({ name, ms: fs.statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.ms - a.ms);
  for (const { name } of byAge.slice(1))
    for (const end of ['', '.map', '.code']) fs.rmSync(join(folder, name + end), { force: true });
}

/**
 * Makes a folder, but none above it that is gone: nobody waits for this, and a project may have been removed since.
 * @type {(project: string, folder: string) => void}
 */
function makeBelow(project, folder) {
  if (dirname(folder) !== project) makeBelow(project, dirname(folder));
  if (!fs.existsSync(folder)) fs.mkdirSync(folder, { mode: 0o700 });
}

/** @type {(tasks: string, folder: string, key: string, loaded: readonly string[]) => Promise<void>} */
async function make(tasks, folder, key, loaded) {
  const builder = new Builder(tasks);
  /** @type {string | null} */
  let bundle = null;
  /** @type {string | null} */
  let refused = null;
  try {
    const { end, code, map } = await builder.build(loaded);
    bundle = `tasks-${sha256(code).slice(0, 16)}${end}`;
    write(join(folder, `${bundle}.map`), map);
    write(join(folder, bundle), code);
  } catch (error) {
    refused = whyRefused(error);
    // What is gone is nothing that a bundle might do otherwise.
    if (refused === null || !fs.existsSync(tasks)) throw error;
  }
  const { sources, absent, links } = builder.inputs();
  const files = bundle === null ? sources : [...sources, writtenAs(join(folder, bundle))];
  write(join(folder, 'manifest.json'), JSON.stringify({ key, bundle, refused, sources: files, absent, links }));
  removeOld(folder, bundle);
}

/** @param {string} path */
function writtenAs(path) {
  const { size, mtimeNs, ctimeNs, ino } = fs.statSync(path, { bigint: true });
  return { path, stat: [size, mtimeNs, ctimeNs, ino].map(String), sha256: sha256(fs.readFileSync(path)) };
}

/**
 * esbuild tells what a plugin threw as one of its errors.
 * @param {unknown} error
 * @returns {string | null}
 */
function whyRefused(error) {
  if (error instanceof Refused) return error.message;
  const { errors = [] } = /** @type {Partial<esbuild.BuildFailure>} */ (error);
  return errors.find(({ detail }) => detail instanceof Refused)?.text ?? null;
}

const [tasks = '', folder = '', key = '', ...loaded] = process.argv.slice(2);
os.setPriority(19);
makeBelow(dirname(tasks), folder);
const turn = join(folder, 'building');
const begun = fs.statSync(turn, { throwIfNoEntry: false });
if (begun && Date.now() - begun.mtimeMs > ABANDONED_MS) fs.rmSync(turn, { force: true });
fs.writeFileSync(turn, '', { flag: 'wx' });
try {
  process.chdir(dirname(tasks));
  await make(tasks, folder, key, loaded);
} finally {
  fs.rmSync(turn, { force: true });
}
