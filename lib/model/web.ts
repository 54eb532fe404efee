/** What a web server must know of the services. */
interface Behind {
  readonly name: string;
  readonly listens?: 'public' | 'private';
  readonly health?: { readonly path: string };
}

/** A folder of the release whose files are served below a path. */
export interface StaticFiles {
  /** Begins and ends with `/`. */
  readonly path: string;
  readonly folder: string;
  /** The file that answers for what is no file: the page of an application that has its addresses in the browser. */
  readonly fallback?: string;
  /** Paths below it, as `/assets/`, whose files bear a digest in their names: kept by browsers for ever. */
  readonly immutable?: readonly string[];
}

/**
 * A web server in front of a service, which the supervisor `systemd` brings (nginx): it has the public port, serves
 * files itself and hands the rest on, WebSockets included. The supervisor `plain` has none: there the service itself is
 * public, and answers everything.
 */
export interface Web {
  /** The public service that it stands in front of. */
  readonly service: string;
  readonly static: readonly StaticFiles[];
  /** Prefixes that the service answers; each begins and ends with `/`. Its health path is below one of them. */
  readonly proxy: readonly string[];
  /** Further headers of served files, beside nosniff, frame and referrer rules. */
  readonly headers?: { readonly [name: string]: string };
  /** Largest body of a request, in MB; 10 unless told. */
  readonly maxBodyMb?: number;
}

/** The name under which the web server starts and stops as one more service. */
export const WEB_SERVER = 'nginx';

/** What is wrong with a web server's declaration, or `null`. */
export function webProblem(web: Web, services: readonly Behind[]): string | null {
  const service = services.find(({ name }) => name === web.service);
  if (service?.listens !== 'public') return `web.service names ${web.service}, which is no public service`;
  if (services.some(({ name }) => name === WEB_SERVER)) return `a service cannot be named ${WEB_SERVER} beside web`;
  const paths = [...web.proxy, ...web.static.flatMap(({ path, immutable = [] }) => [path, ...immutable])];
  const odd = paths.find((path) => !/^\/([\w.~-]+\/)*$/.test(path));
  if (odd !== undefined) return `web has the path ${JSON.stringify(odd)}; a path begins and ends with /`;
  const names = web.static.flatMap(({ folder, fallback }) => [folder, ...(fallback === undefined ? [] : [fallback])]);
  const outside = names.find((name) => !/^[^/\0-\x1f][^\0-\x1f]*$/.test(name) || name.split('/').includes('..'));
  if (outside !== undefined) return `web has the folder or file ${JSON.stringify(outside)}; it lies in the release`;
  const header = Object.entries(web.headers ?? {}).find(
    ([name, value]) => !/^[\w-]+$/.test(name) || /[\0-\x1f]/.test(value),
  );
  if (header !== undefined) return `web has the header ${JSON.stringify(header[0])}`;
  const health = service.health?.path;
  if (health !== undefined && !web.proxy.some((prefix) => health.startsWith(prefix)))
    return `the health path ${health} of ${web.service} is below no prefix of web.proxy`;
  return null;
}
