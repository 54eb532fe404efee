/** Who takes how much of a board's memory. Sizes in MB. */
export interface Budget {
  readonly rows: readonly { readonly name: string; readonly memoryMb: number }[];
  readonly sumMb: number;
  readonly boardMb: number;
  /** Negative when it does not fit. */
  readonly headroomMb: number;
}

/** The memory budget of a board with `boardMb`: every service's share, and what is kept from them. */
export function memoryBudget(
  services: readonly { readonly name: string; readonly memoryMb: number }[],
  reservedMb: number,
  boardMb: number,
): Budget {
  const rows = [
    ...services.map(({ name, memoryMb }) => ({ name, memoryMb })),
    { name: 'operating system', memoryMb: reservedMb },
  ];
  const sumMb = rows.reduce((sum, { memoryMb }) => sum + memoryMb, 0);
  return { rows, sumMb, boardMb, headroomMb: boardMb - sumMb };
}

/** The same as a table, one line a row. */
export function budgetLines({ rows, sumMb, boardMb, headroomMb }: Budget): readonly string[] {
  const all: readonly (readonly [string, number])[] = [
    ...rows.map(({ name, memoryMb }) => [name, memoryMb] as const),
    ['sum', sumMb],
    ['board', boardMb],
    [headroomMb < 0 ? 'missing' : 'headroom', Math.abs(headroomMb)],
  ];
  const width = Math.max(...all.map(([name]) => name.length));
  const digits = Math.max(...all.map(([, sizeMb]) => String(sizeMb).length));
  return all.map(([name, sizeMb]) => `${name.padEnd(width)}  ${String(sizeMb).padStart(digits)} MB`);
}
