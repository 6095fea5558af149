/**
 * Queries that stay true by themselves. Each names how a frame changes its data; the link applies every frame to all
 * cached data, and a load that was overtaken by frames applies those too, so that an older answer never wins.
 */
import { type QueryClient, type QueryKey, queryOptions } from "@tanstack/react-query";
import type { Frame } from "./frame";
import { link } from "./link";

/** Milliseconds: half a heartbeat of a device. */
const EVERY = 15_000;

type Apply<T> = (data: T, frame: Frame) => T;
type ApplyAll<T> = (data: T, frames: readonly Frame[]) => T;

interface LiveMeta extends Record<string, unknown> {
  apply?: ApplyAll<unknown>;
  outdates?: (frame: Frame) => boolean;
}

declare module "@tanstack/react-query" {
  interface Register {
    queryMeta: LiveMeta;
  }
}

export function liveQuery<T>(queryKey: QueryKey, load: (signal: AbortSignal) => Promise<T>, apply: Apply<T>) {
  return burstQuery(queryKey, load, (data, frames) => frames.reduce(apply, data));
}

/** The same for data that is large: a burst of frames changes it once. */
export function burstQuery<T>(
  queryKey: QueryKey,
  load: (signal: AbortSignal) => Promise<T>,
  apply: ApplyAll<T>,
) {
  return queryOptions({
    queryKey,
    queryFn: ({ signal }) => caughtUp(() => load(signal), apply),
    meta: { apply: apply as ApplyAll<unknown> },
    staleTime: freshWhileLive,
  });
}

/** For `staleTime`. */
export function freshWhileLive(): number {
  return link.state === "live" ? Number.POSITIVE_INFINITY : 0;
}

/** For what is too long for a frame, but has frames that say that it is to be loaded again. */
export function pushedQuery<T>(
  queryKey: QueryKey,
  load: (signal: AbortSignal) => Promise<T>,
  outdates: (frame: Frame) => boolean,
) {
  return queryOptions({
    queryKey,
    queryFn: ({ signal }) => load(signal),
    meta: { outdates },
    staleTime: freshWhileLive,
  });
}

/** For what few people change, and few look at: loaded when its page is opened. */
export function loadedQuery<T>(queryKey: QueryKey, load: (signal: AbortSignal) => Promise<T>) {
  return queryOptions({ queryKey, queryFn: ({ signal }) => load(signal) });
}

/** For what no frame carries: loaded again when a frame says that there is more, and now and then while it is shown. */
export function polledQuery<T>(
  queryKey: QueryKey,
  load: (signal: AbortSignal) => Promise<T>,
  outdates: (frame: Frame) => boolean = () => false,
) {
  return queryOptions({
    queryKey,
    queryFn: ({ signal }) => load(signal),
    refetchInterval: EVERY,
    meta: { outdates },
  });
}

export function applyFrames(client: QueryClient, frames: readonly Frame[]): void {
  for (const query of client.getQueryCache().getAll()) {
    const outdates = query.meta?.outdates;
    if (outdates && frames.some(outdates))
      void client.invalidateQueries({ queryKey: query.queryKey, exact: true });
    const apply = query.meta?.apply;
    if (!apply || query.state.data === undefined) continue;
    const before = query.state.data;
    const after = apply(before, frames);
    if (after !== before) client.setQueryData(query.queryKey, after);
  }
}

/** What is loaded, with the frames that came meanwhile. */
export async function caughtUp<T>(load: () => Promise<T>, apply: ApplyAll<T>): Promise<T> {
  const missed: Frame[] = [];
  const stop = link.onFrames((frames) => missed.push(...frames));
  try {
    return apply(await load(), missed);
  } finally {
    stop();
  }
}
