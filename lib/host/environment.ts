/** What every command sees of the runner's environment, without declaring it. */
const BASE = new Set(
  [
    ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'TMPDIR'],
    ['LANG', 'LANGUAGE', 'TZ', 'TERM', 'COLORTERM', 'NO_COLOR', 'FORCE_COLOR', 'CI'],
    ['NODE_EXTRA_CA_CERTS'],
  ].flat(),
);

/** `VIRTUAL_ENV` is left out on purpose: a shell's activated environment would decide which Python a task gets. */
const BASE_PATTERNS = [/^LC_[A-Z]+$/, /^[A-Za-z]+_(PROXY|proxy)$/, /^PIP_/, /^PYENV_/, /^SSL_CERT_/];

/**
 * Of npm's settings those that say how to reach a registry and where to keep packages, and those that node-gyp reads.
 * An allow-list, since `npm run` also passes every flag of its own command line down (`npm run task x --dry-run` sets
 * `npm_config_dry_run`), as well as prefixes and the state of its script: a nested `npm ci` would only pretend to
 * install, install elsewhere, or take a flag of ours for one of its own. npm ignores case, and takes `-` for `_`.
 */
const NPM = [
  /^(registry|cache|userconfig|globalconfig|proxy|https?_proxy|noproxy|no_proxy|cafile|ca|cert|key|strict_ssl|local_address)$/,
  /^(maxsockets|fetch_.+|offline|prefer_offline|prefer_online|replace_registry_host|omit_lockfile_registry_resolved)$/,
  /^(audit|fund|update_notifier|ignore_scripts|engine_strict|min_release_age|before)$/,
  /^(nodedir|disturl|devdir|python|node_gyp|target_arch|build_from_source)$/,
  // Registries of scopes, and what authorises at a registry.
  /^@[^/]+:registry$/,
  /^\/\//,
  /^_?auth(token)?$/,
];

/** Of the base list what a result may depend on: the others say where this machine has things, and stay outside of keys. */
const TELLING = /^(USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|CI)$/;

/** Whether a variable reaches every command, though what it says may decide the result. */
export const isTelling = (name: string): boolean => TELLING.test(name);

/** A lookup of the value of a declared name: environment, `.env` files and the like. */
export type LookupEnv = (name: string) => string | undefined;

/** What every command sees. Asked once for a run: Node asks the system for each variable each time. */
export function baseEnvironment(
  outer: Readonly<Record<string, string | undefined>> = process.env,
): Readonly<Record<string, string>> {
  const present = Object.entries(outer).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(present.filter(([name]) => inBase(name)));
}

/** The whole environment of a command: base list, declared names, and what the step itself sets; later ones win. */
export function strictEnvironment(
  declared: readonly string[],
  set: Readonly<Record<string, string>>,
  lookup: LookupEnv,
  base: Readonly<Record<string, string>>,
): Record<string, string> {
  const named = declared.map((name) => [name, lookup(name)] as const);
  const present = named.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { ...base, ...Object.fromEntries(present), ...set };
}

/** Whether a variable reaches every command. */
export function inBase(name: string): boolean {
  if (BASE.has(name) || BASE_PATTERNS.some((pattern) => pattern.test(name))) return true;
  const npm = /^npm_config_(.+)$/i.exec(name)?.[1];
  if (npm === undefined) return false;
  const key = npm.startsWith('//') || npm.startsWith('@') ? npm : npm.toLowerCase().replaceAll('-', '_');
  return NPM.some((pattern) => pattern.test(key));
}
