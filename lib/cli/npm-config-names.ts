/** The names of npm's own settings (npm 11.19): it completes an unambiguous beginning of one, so `--to` becomes `--token-description`. */
const NAMES = `
_auth access all allow-same-version allow-directory allow-file allow-git allow-remote allow-scripts also audit audit-level
auth-type before bin-links browser bypass-2fa ca cache cache-max cache-min cafile call cert cidr color commit-hooks cpu
dangerously-allow-all-scripts depth description dev diff diff-ignore-all-space diff-name-only diff-no-prefix diff-dst-prefix
diff-src-prefix diff-text diff-unified dry-run editor engine-strict expect-result-count expect-results expires fetch-retries
fetch-retry-factor fetch-retry-maxtimeout fetch-retry-mintimeout fetch-timeout force foreground-scripts format-package-lock
fund git git-tag-version global globalconfig global-style heading https-proxy if-present ignore-scripts include include-staged
include-workspace-root include-attestations init-author-email init-author-name init-author-url init-license init-module
init-type init-version init-private init.author.email init.author.name init.author.url init.license init.module init.version
install-links install-strategy json key legacy-bundling legacy-peer-deps libc link local-address location lockfile-version
loglevel logs-dir logs-max long name maxsockets message min-release-age min-release-age-exclude node-gyp node-options noproxy
offline omit omit-lockfile-registry-resolved only orgs optional os otp package package-lock package-lock-only pack-destination
packages parseable allow-scripts-pending allow-scripts-pin prefer-dedupe prefer-offline prefer-online prefix preid production
progress provenance provenance-file proxy read-only rebuild-bundle registry replace-registry-host save save-bundle save-dev
save-exact save-optional save-peer save-prefix save-prod sbom-format sbom-type scope scopes packages-all
packages-and-scopes-permission orgs-permission password token-description script-shell searchexclude searchlimit searchopts
searchstaleness shell shrinkwrap sign-git-commit sign-git-tag strict-peer-deps strict-allow-scripts strict-ssl tag
tag-version-prefix timing umask unicode update-notifier usage user-agent userconfig version versions viewer which workspace
workspaces workspaces-update yes`
  .trim()
  .split(/\s+/);

/** Settings that npm itself or an ordinary .npmrc puts into the environment: they tell nothing about the command line. */
const SETTINGS = new Set(
  `yes color audit bin-links ca cache cafile cert editor engine-strict fund global globalconfig https-proxy ignore-scripts
   include init-module install-links install-strategy key legacy-peer-deps location loglevel maxsockets node-gyp node-options noproxy
   offline omit omit-lockfile-registry-resolved optional os cpu package-lock prefer-dedupe prefer-offline prefer-online prefix
   production progress proxy registry save save-exact save-prefix script-shell strict-ssl umask unicode update-notifier
   user-agent userconfig`.split(/\s+/),
);

/** The environment variables that npm may leave of an option; older npms do not complete, so both names count. */
export function npmVariables(option: string): readonly string[] {
  const completed = NAMES.includes(option) ? [] : NAMES.filter((name) => name.startsWith(option));
  const names = completed.length === 1 ? [option, ...completed] : [option];
  return names.filter((name) => !SETTINGS.has(name)).map((name) => `npm_config_${name.replaceAll('-', '_')}`);
}
