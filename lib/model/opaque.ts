import type { Json } from './json.ts';

/** The author's function of an opaque step. */
export type OpaqueBody = (tools: OpaqueTools) => Promise<Json | void>;

/** What an opaque step gets: zx's `$`, ended with the run, and a signal. */
export interface OpaqueTools {
  readonly $: (
    strings: TemplateStringsArray,
    ...values: readonly unknown[]
  ) => PromiseLike<{ readonly stdout: string; readonly exitCode: number | null }>;
  readonly signal: unknown;
}
