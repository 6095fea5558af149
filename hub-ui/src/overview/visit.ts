/** When this browser last showed the overview, so that it can say what has changed since. */
const KEY = "flip.visited";
/** Seconds: who comes back sooner has not been away. */
const AWAY = 15 * 60;

interface Visit {
  /** Seconds since the epoch. */
  began: number;
  last: number;
  /** End of the visit before; null on the first. */
  before: number | null;
}

/** Notes that somebody looks now, and gives the end of their visit before this one; null on the first. */
export function visited(now: number, storage: Storage = localStorage): number | null {
  const known = read(storage);
  const visit: Visit = !known
    ? { began: now, last: now, before: null }
    : now - known.last > AWAY
      ? { began: now, last: now, before: known.last }
      : { ...known, last: now };
  storage.setItem(KEY, JSON.stringify(visit));
  return visit.before;
}

function read(storage: Storage): Visit | null {
  try {
    const kept = JSON.parse(storage.getItem(KEY) ?? "null") as Partial<Visit> | null;
    const whole = typeof kept?.last === "number" && typeof kept.began === "number";
    return whole ? { began: Number(kept.began), last: Number(kept.last), before: kept.before ?? null } : null;
  } catch {
    return null;
  }
}
