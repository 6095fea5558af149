/**
 * Queries that stay true by themselves. Each names how a frame changes its data; the link applies every frame to all
 * cached data, and a load that was overtaken by frames applies those too, so that an older answer never wins.
 */
import { type Query, type QueryClient, type QueryKey, queryOptions } from "@tanstack/react-query";
import type { Frame } from "./frame";
import { link } from "./link";

/** Milliseconds: half a heartbeat of a device. */
const EVERY = 15_000;
/** Milliseconds for which frames are gathered that each change little of something large. */
const GATHERED = 5_000;

type Apply<T> = (data: T, frame: Frame) => T;
type ApplyAll<T> = (data: T, frames: readonly Frame[]) => T;

interface LiveMeta extends Record<string, unknown> {
  apply?: ApplyAll<unknown>;
  outdates?: (frame: Frame) => boolean;
  /** It is then loaded again after a while, and not at once. */
  gathers?: boolean;
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

/** For what is made of many things that change all the time: loaded again some seconds after the first of them has. */
export function gatheredQuery<T>(
  queryKey: QueryKey,
  load: (signal: AbortSignal) => Promise<T>,
  outdates: (frame: Frame) => boolean,
) {
  return queryOptions({
    ...pushedQuery(queryKey, load, outdates),
    meta: { outdates, gathers: true },
    refetchInterval: (query) => query.state.isInvalidated && GATHERED,
  });
}

/** For gauges, which no frame tells of: loaded again now and then while they are shown. */
export function polledQuery<T>(queryKey: QueryKey, load: (signal: AbortSignal) => Promise<T>) {
  return queryOptions({ queryKey, queryFn: ({ signal }) => load(signal), refetchInterval: EVERY });
}

export function applyFrames(client: QueryClient, frames: readonly Frame[]): void {
  for (const query of client.getQueryCache().getAll()) {
    if (query.meta?.outdates && frames.some(query.meta.outdates)) outdated(client, query);
    const apply = query.meta?.apply;
    if (!apply || query.state.data === undefined) continue;
    const before = query.state.data;
    const after = apply(before, frames);
    if (after !== before) client.setQueryData(query.queryKey, after);
  }
}

function outdated(client: QueryClient, { queryKey, meta, state }: Query): void {
  const again = () =>
    client.invalidateQueries({ queryKey, exact: true, refetchType: meta?.gathers ? "none" : "active" });
  // a first load goes on, whatever outdates it, and what it brings would count as new
  if (state.data === undefined && state.fetchStatus === "fetching")
    void client.ensureQueryData({ queryKey }).then(again, () => undefined);
  else void again();
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
