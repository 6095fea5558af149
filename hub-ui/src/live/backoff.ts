const FIRST = 500;
const LARGEST = 15_000;

/** Milliseconds to wait before attempt `failures + 1`: full jitter, so that a restarted hub is not met by all tabs at once. */
export function delay(failures: number, random: () => number = Math.random): number {
  return random() * Math.min(LARGEST, FIRST * 2 ** failures);
}
