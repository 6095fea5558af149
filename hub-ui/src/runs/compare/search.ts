export const MOST_RUNS = 6;

/** Of the page's address. */
export function compareSearch(search: Record<string, unknown>): { runs: string[] } {
  const runs = Array.isArray(search.runs) ? search.runs : [search.runs];
  return {
    runs: [...new Set(runs.filter((each) => typeof each === "string" && each !== ""))].slice(0, MOST_RUNS),
  };
}
