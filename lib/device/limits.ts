/** How long the parts of a conversation with a device may take, in ms. */
export interface Limits {
  /** From the first packet to a login. */
  readonly connectMs: number;
  /** From the login to the agent's first line: Python starts slowly on a small board. */
  readonly helloMs: number;
  /** One operation, where neither its step nor its command says. */
  readonly operationMs: number;
  /** Beyond an operation's own timeout, or after it was cancelled, until the session counts as stuck. */
  readonly marginMs: number;
  /** From TERM to KILL, for a command that does not say. */
  readonly graceMs: number;
  /** Until a lock that our own lost session still holds is free again. */
  readonly relockMs: number;
  /** From the loss of a connection to the last attempt to make it again, unless the device's configuration says. */
  readonly reconnectMs: number;
  /** For an orderly end of session and connection; then they are cut. */
  readonly closeMs: number;
  /** Until an agent that hears nothing of us ends itself, and frees what it holds. */
  readonly silenceMs: number;
  /** Between two questions whether the other side is still there; three without an answer lose the connection. */
  readonly keepaliveMs: number;
}

export const LIMITS: Limits = {
  connectMs: 20_000,
  helloMs: 30_000,
  operationMs: 600_000,
  marginMs: 15_000,
  graceMs: 10_000,
  relockMs: 30_000,
  reconnectMs: 30_000,
  closeMs: 3_000,
  silenceMs: 120_000,
  keepaliveMs: 10_000,
};

export const KEEPALIVES = 3;
