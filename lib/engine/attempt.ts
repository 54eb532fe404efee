import { StepFailed, type Failure } from '../model/failure.ts';

/** A performer that throws is broken, and what was changed before is put back all the same. */
export async function attempt<T>(
  ask: () => Promise<T>,
): Promise<T | { readonly ok: false; readonly failure: Failure }> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof StepFailed) return { ok: false, failure: error.failure };
    return {
      ok: false,
      failure: { reason: 'broken', message: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    };
  }
}
