import type { Completion, GraphFormat } from './flags.ts';

/** A task that was asked for, with its own params parsed by their declared types; defaults are not filled in. */
export interface Goal {
  readonly task: string;
  readonly params: { readonly [name: string]: string | number | boolean };
}

/** Files that are written about a run once it is over; `null`: none. */
export interface Pages {
  readonly report: string | null;
  readonly profile: string | null;
}

/** Whether steps are performed, or only planned and shown. `out` is the file that keeps the approval. */
export type Mode =
  | { readonly kind: 'perform' }
  | { readonly kind: 'plan'; readonly connected: boolean; readonly out: string | null; readonly runbook?: true };

/** What is asked about runs and devices rather than done through a task. */
export type Verb =
  | { readonly verb: 'apply'; readonly plan: string }
  | { readonly verb: 'show'; readonly run: string; readonly logs: boolean }
  | { readonly verb: 'trace-inputs'; readonly task: string; readonly check: boolean }
  | ({ readonly verb: 'undo'; readonly run: string } & Paper)
  | { readonly verb: 'completion'; readonly shell: Completion }
  | { readonly verb: 'uninstall'; readonly device: string; readonly withData: boolean }
  | { readonly verb: 'rehearsal'; readonly action: 'stop' }
  | { readonly verb: 'recover' | 'history' | 'config' }
  | ({ readonly verb: 'status' | 'doctor' | 'audit' } & OnDevice)
  | ({ readonly verb: 'logs'; readonly service: string; readonly follow: boolean; readonly lines: number } & OnDevice)
  | ({ readonly verb: 'exec'; readonly command: readonly string[]; readonly service: string | null } & OnDevice)
  | ({ readonly verb: 'shell'; readonly service: string | null } & OnDevice);

/** Only shown; `connected`: and devices are asked. */
interface Paper {
  readonly dryRun: boolean;
  readonly connected: boolean;
}

/** `--device`; `null`: all of them, or the one in force. */
interface OnDevice {
  readonly device: string | null;
}

/** How the lines of a run stand: each behind its task's name, or those of a task together. */
export type Layout = 'prefixed' | 'grouped';

/** How the answer is given, and what is consented to beforehand. `color: false` means never; otherwise the terminal decides. */
interface Manner {
  readonly output: 'human' | 'json';
  /** As lines, whatever would be chosen. */
  readonly layout?: Layout;
  readonly color: boolean;
  readonly yes: boolean;
  readonly confirm: string | null;
}

/** How a run goes about it: at most `jobs` tasks at once (`null`: as many as the machine takes). */
interface Pace {
  readonly jobs: number | null;
  readonly keepGoing: boolean;
  readonly pages?: Pages;
}

/** A command line, parsed. */
export type Invocation =
  | (Manner &
      Pace & {
        readonly kind: 'run';
        readonly goals: readonly Goal[];
        readonly mode: Mode;
        readonly force: boolean;
        readonly explain: boolean;
        /** Seed of a random order. */
        readonly shuffle?: number;
        /** Again with every change of an input. */
        readonly watch: boolean;
        readonly rest: readonly string[];
      })
  | (Manner & Pace & { readonly kind: 'verb' } & Verb)
  | { readonly kind: 'graph'; readonly goals: readonly Goal[]; readonly format: GraphFormat }
  | { readonly kind: 'list'; readonly output: 'human' | 'json'; readonly color: boolean }
  | { readonly kind: 'help'; readonly task: string | null; readonly color: boolean }
  | { readonly kind: 'version' };
