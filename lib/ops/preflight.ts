import { equals } from '../model/choice.ts';
import type { DeviceName } from '../model/param.ts';
import type { Recorder } from '../model/recorder.ts';
import { text, type Ref, type Value } from '../model/ref.ts';
import type { System } from '../model/service.ts';
import type { Needs } from './checks.ts';
import { binaries, device } from './device.ts';

/** The kind of device that a release with compiled parts was built for. */
export interface BuiltFor {
  readonly architecture: Ref<string>;
  /** Version of Python, `3.11`. */
  readonly python: Ref<string>;
}

/** What is asked before a byte is sent. */
export interface PreflightSpec {
  readonly to: DeviceName;
  readonly tree: Value<string>;
  readonly release: Value<string>;
  readonly system: System;
  readonly builtFor?: BuiltFor | undefined;
  /** Beginnings of paths in the release below which programs for other machines may lie, as data. */
  readonly foreign?: readonly string[] | undefined;
}

/** What a system needs of its board, as `device.preflight` is told. */
export const needsOf = (system: System): Needs => ({
  database: system.database !== undefined,
  web: system.web !== undefined,
});

/** Refuses, before anything is sent, a release that was built for another machine, and a device that cannot take it. */
export function preflight(p: Recorder, { to, tree, release, system, builtFor, foreign }: PreflightSpec): void {
  const { architecture, python, wheelPlatforms } = p.on(to).probe(device.facts);
  if (builtFor) {
    p.require(
      equals(architecture, builtFor.architecture),
      text`the release was built for ${builtFor.architecture}, and ${to} is ${architecture}; build it for ${to}`,
    );
    p.require(
      equals(python, builtFor.python),
      text`the release was built for Python ${builtFor.python}, and ${to} has ${python}; build it for ${to}`,
    );
  }
  const built = p.probe(binaries, { tree, architecture, platforms: wheelPlatforms, ...(foreign && { foreign }) });
  p.require(built.fits, text`${built.why}; ${to} is ${architecture}: build it for ${to}`);
  const { fit, why } = p.on(to).probe(device.preflight, { ...needsOf(system) });
  p.require(fit, text`${to} cannot take a release now: ${why}`);
  const { services, reservedMb, boardMb, web } = system;
  // With the release, so that nobody asks about a tree that is yet to be built.
  const room = p.on(to).probe(device.room, { tree, release, services, reservedMb, boardMb, ...(web && { web }) });
  p.require(room.enough, text`the release does not fit on ${to}: ${room.short}`);
}
