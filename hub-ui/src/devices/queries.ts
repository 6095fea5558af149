import { type InfiniteData, infiniteQueryOptions } from "@tanstack/react-query";
import { answered, hub, nextCursor } from "@/api/client";
import type { Contribution, DeclaredGap, Device, DeviceAction, DeviceEvent, HealthPoint } from "@/api/types";
import type { Frame, Listing } from "@/live/frame";
import { caughtUp, freshWhileLive, liveQuery, pushedQuery } from "@/live/query";
import { isNews } from "./events";
import { byName, type DeviceFilter, fits } from "./filter";
import { briefOf } from "./fleet";
import { SPANS, type SpanName } from "./vitals/series";

export const deviceQuery = (id: string) =>
  liveQuery<Device>(
    ["devices", id],
    (signal) => answered(hub.GET("/api/v1/devices/{device}", { params: { path: { device: id } }, signal })),
    (device, frame) => (frame.topic === "device" && frame.data.id === id ? frame.data : device),
  );

/** Devices that are asked for at once. */
const AT_ONCE = 100;

export interface DevicePage {
  devices: Device[];
  /** Where the next page begins; none on the last. */
  next?: string;
}

/** Of those that fit, by name and page by page; each frame puts its device in its place, or out of it. */
export const devicePagesQuery = (filter: DeviceFilter) => {
  const { view: _, q, ...chosen } = filter;
  return infiniteQueryOptions({
    queryKey: ["devices", "pages", { ...chosen, q }],
    queryFn: ({ signal, pageParam }): Promise<DevicePage> =>
      caughtUp(
        () => page({ ...chosen, ...(q && { search: q }) }, pageParam, signal),
        (loaded, frames) => ({ ...loaded, devices: loaded.devices.map((device) => newest(device, frames)) }),
      ),
    initialPageParam: "",
    getNextPageParam: (last: DevicePage) => last.next,
    staleTime: freshWhileLive,
    meta: {
      apply: (data, frames) => placed(data as InfiniteData<DevicePage, string>, frames, filter),
    },
  });
};

async function page(
  chosen: Record<string, string>,
  cursor: string,
  signal: AbortSignal,
): Promise<DevicePage> {
  const query = { ...chosen, limit: AT_ONCE, ...(cursor && { cursor }) };
  const { data, response } = await hub.GET("/api/v1/devices", { params: { query }, signal });
  const next = nextCursor(response.headers.get("Link"));
  return { devices: data ?? [], ...(next && { next }) };
}

function newest(device: Device, frames: readonly Frame[]): Device {
  const told = frames.findLast((frame) => frame.topic === "device" && frame.data.id === device.id);
  return told?.topic === "device" ? told.data : device;
}

type Pages = InfiniteData<DevicePage, string>;

export function placed(data: Pages, frames: readonly Frame[], filter: DeviceFilter): Pages {
  const changed = frames.filter((frame) => frame.topic === "device").map(({ data: device }) => device);
  return changed.reduce((pages, device) => withDevice(pages, device, filter), data);
}

function withDevice(data: Pages, device: Device, filter: DeviceFilter): Pages {
  const fitting = fits(briefOf(device), filter);
  const at = data.pages.findIndex(({ devices }) => devices.some(({ id }) => id === device.id));
  if (at !== -1) {
    return change(data, at, (devices) =>
      fitting
        ? devices.map((other) => (other.id === device.id ? device : other))
        : devices.filter(({ id }) => id !== device.id),
    );
  }
  const into = fitting ? pageFor(data, device) : -1;
  return into === -1 ? data : change(data, into, (devices) => [...devices, device].sort(byName));
}

/** The page that it belongs to; -1 where that is not loaded yet. */
function pageFor({ pages }: Pages, device: Device): number {
  const found = pages.findIndex(({ devices }) => {
    const last = devices.at(-1);
    return last !== undefined && byName(device, last) < 0;
  });
  return found !== -1 || pages.at(-1)?.next ? found : pages.length - 1;
}

function change(data: Pages, at: number, devices: (before: Device[]) => Device[]): Pages {
  return {
    ...data,
    pages: data.pages.map((page, index) =>
      index === at ? { ...page, devices: devices(page.devices) } : page,
    ),
  };
}

const NEWEST = 1000;
const SHOWN = 50;

/** A list of this device that is too long for a frame has grown. */
function grew(of: Listing, id: string): (frame: Frame) => boolean {
  return (frame) => frame.topic === "grew" && frame.data.of === of && frame.data.id === id;
}

/** The newest of a device that are news. */
export const deviceEventsQuery = (id: string) =>
  pushedQuery<DeviceEvent[]>(
    ["devices", id, "events"],
    async (signal) => {
      const params = { path: { device: id }, query: { limit: NEWEST } };
      const events = await answered(hub.GET("/api/v1/devices/{device}/events", { params, signal }));
      return events.filter(isNews).slice(0, SHOWN);
    },
    grew("events", id),
  );

/** Log lines that it has sent, newest first. */
export const logLinesQuery = (id: string) =>
  pushedQuery<DeviceEvent[]>(
    ["devices", id, "log"],
    (signal) => {
      const params = { path: { device: id }, query: { limit: SHOWN, kind: "log" } };
      return answered(hub.GET("/api/v1/devices/{device}/events", { params, signal }));
    },
    grew("events", id),
  );

/** What a device had to drop, newest first. */
export const gapsQuery = (id: string) =>
  pushedQuery<DeclaredGap[]>(
    ["devices", id, "gaps"],
    (signal) => {
      const params = { path: { device: id }, query: { limit: SHOWN } };
      return answered(hub.GET("/api/v1/devices/{device}/gaps", { params, signal }));
    },
    grew("gaps", id),
  );

/** What it was asked to do, newest first. */
export const actionsQuery = (id: string) =>
  pushedQuery<DeviceAction[]>(
    ["devices", id, "actions"],
    (signal) => {
      const params = { path: { device: id }, query: { limit: SHOWN } };
      return answered(hub.GET("/api/v1/devices/{device}/actions", { params, signal }));
    },
    grew("actions", id),
  );

/** What it contributed to runs, newest first. */
export const deviceContributionsQuery = (id: string) =>
  pushedQuery<Contribution[]>(
    ["devices", id, "contributions"],
    (signal) => {
      const params = { path: { device: id }, query: { limit: SHOWN } };
      return answered(hub.GET("/api/v1/devices/{device}/contributions", { params, signal }));
    },
    (frame) => frame.topic === "round" && frame.data.sampled.includes(id),
  );

export interface Vitals {
  points: HealthPoint[];
  since: number;
  until: number;
}

/** Its health over a span that ends now; each of its heartbeats brings more of it. */
export const vitalsQuery = (id: string, span: SpanName) =>
  pushedQuery<Vitals>(
    ["devices", id, "vitals", span],
    async (signal) => {
      const { seconds, step } = SPANS[span];
      const until = Date.now() / 1000;
      const since = until - seconds;
      const params = { path: { device: id }, query: { since, step } };
      const points = await answered(hub.GET("/api/v1/devices/{device}/health", { params, signal }));
      return { points, since, until };
    },
    (frame) => frame.topic === "device" && frame.data.id === id,
  );
