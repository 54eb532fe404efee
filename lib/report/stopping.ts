/** What a signal does to what runs, in few words: a live view has no more room. */
export const stoppingShort = (goesOn: boolean): string =>
  goesOn ? 'an undo goes on to its end' : 'stopping: what was begun is put back';

/** The same, and what a second one does. */
export const stoppingWords = (goesOn: boolean): string =>
  `${stoppingShort(goesOn)}${goesOn ? '' : ', or finished where it is confirmed'}; another Ctrl-C changes nothing`;
