import type { Round, Run } from "@/api/types";

export function isOver(run: Run): boolean {
  return run.finished_at !== null;
}

/** How many rounds are behind it: the current one counts once it is finished. */
export function roundsDone(run: Run, rounds: readonly Round[] = []): number {
  if (run.status === "finished") return run.round;
  const finished = rounds.filter((round) => round.finished_at !== null).length;
  return Math.max(finished, run.round - 1, 0);
}
