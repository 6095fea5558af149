/** A device's health over time as lines: what is missing is a gap, never a line across; without React. */
import type { HealthPoint } from "@/api/types";

export interface Span {
  /** Seconds. */
  seconds: number;
  /** Seconds of one step: a sample comes each half minute. */
  step: number;
}

const HOUR = 3600;
export const SPANS = {
  hour: { seconds: HOUR, step: 60 },
  day: { seconds: 24 * HOUR, step: 300 },
  week: { seconds: 7 * 24 * HOUR, step: 1800 },
  month: { seconds: 30 * 24 * HOUR, step: 7200 },
} as const satisfies Record<string, Span>;
export type SpanName = keyof typeof SPANS;

export interface Series {
  /** Seconds since the epoch: each step of the span, whether or not anything was heard in it. */
  at: number[];
  points: (HealthPoint | null)[];
}

/** So many steps in a row may be without a sample before it is a gap: heartbeats and steps do not fall together. */
const SKIPPED = 1;

/** Every step from the first to the last, with null where nothing was heard. */
export function seriesOf(points: readonly HealthPoint[], since: number, until: number, step: number): Series {
  const byStep = new Map(points.map((point) => [Math.floor(point.at / step), point]));
  const series: Series = { at: [], points: [] };
  let missed = 0;
  for (let index = Math.floor(since / step); index <= Math.floor(until / step); index += 1) {
    const point = byStep.get(index);
    missed = point ? 0 : missed + 1;
    if (!point && missed <= SKIPPED) continue;
    series.at.push(index * step);
    series.points.push(point ?? null);
  }
  return series;
}

/** Events a second by which a backlog shrinks, over the newest of the points; negative while it grows. */
export function drainOf(points: readonly HealthPoint[]): number | null {
  const newest = points.slice(-DRAIN);
  const [first, last] = [newest[0], newest.at(-1)];
  if (!first || !last || last.at <= first.at) return null;
  return (first.outbox_depth - last.outbox_depth) / (last.at - first.at);
}

/** Points over which it is measured. */
const DRAIN = 5;
