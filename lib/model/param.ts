import type { Ref } from './ref.ts';

/** A device by name, as a param holds it. */
export type DeviceName = string & { readonly device: true };

interface Common {
  readonly summary: string;
}

/** A declared param. Values come as strings from the command line and are parsed by the declared type. */
export type Param =
  | (Common & { readonly type: 'string'; readonly default?: string; readonly secret?: boolean })
  | (Common & { readonly type: 'number'; readonly default?: number })
  | (Common & { readonly type: 'flag'; readonly default: false })
  | (Common & { readonly type: 'choice'; readonly choices: readonly string[]; readonly default?: string })
  | (Common & { readonly type: 'device' });

export type Params = { readonly [name: string]: Param };

/** The value of a param inside `needs` and `steps`; a secret one is a ref that only a live performer resolves. */
export type ParamValue<P extends Param> = P extends { secret: true }
  ? Ref<string>
  : P extends { type: 'number' }
    ? number
    : P extends { type: 'flag' }
      ? boolean
      : P extends { type: 'device' }
        ? DeviceName
        : P extends { type: 'choice'; choices: readonly (infer C)[] }
          ? C
          : string;

export type ParamValues<P extends Params> = { readonly [K in keyof P]: ParamValue<P[K]> };

type Required<P extends Params> = { [K in keyof P]: P[K] extends { readonly default: unknown } ? never : K }[keyof P];

/** What a caller passes: params without a default must be there. */
export type ParamInput<P extends Params> = { readonly [K in Required<P>]: ParamValue<P[K]> } & {
  readonly [K in Exclude<keyof P, Required<P>>]?: ParamValue<P[K]>;
};

export const string = <const O extends { summary: string; default?: string; secret?: boolean }>(options: O) =>
  ({ type: 'string', ...options }) as const;
export const number = <const O extends { summary: string; default?: number }>(options: O) =>
  ({ type: 'number', ...options }) as const;
export const flag = (options: { summary: string }) => ({ type: 'flag', default: false, ...options }) as const;
export const choice = <const O extends { summary: string; choices: readonly string[]; default?: string }>(options: O) =>
  ({ type: 'choice', ...options }) as const;
/** A device; on the command line it defaults to the target that is in force. */
export const device = (options: { summary: string }) => ({ type: 'device', ...options }) as const;

export const deviceName = (name: string): DeviceName => name as DeviceName;

/** A param's value parsed from text, or what was expected instead. */
export type Parsed =
  { readonly ok: true; readonly value: string | number | boolean } | { readonly ok: false; readonly expected: string };

/** Parses the text of one param. A number is decimal, so that `0012` stays 12 only where a number was declared. */
export function parseParam(param: Param, given: string): Parsed {
  switch (param.type) {
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(given) ? { ok: true, value: Number(given) } : { ok: false, expected: 'a number' };
    case 'flag':
      return given === 'true' || given === 'false'
        ? { ok: true, value: given === 'true' }
        : { ok: false, expected: 'true or false' };
    case 'choice':
      return param.choices.includes(given)
        ? { ok: true, value: given }
        : { ok: false, expected: `one of ${param.choices.join(', ')}` };
    case 'device':
      return /^[a-z][a-z0-9-]*$/.test(given)
        ? { ok: true, value: given }
        : { ok: false, expected: 'a device name (lower case letters, digits and -)' };
    case 'string':
      return { ok: true, value: given };
  }
}
