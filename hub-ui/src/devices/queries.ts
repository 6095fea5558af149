import { queryOptions } from "@tanstack/react-query";
import { answered, hub } from "@/api/client";
import type { Device, DeviceEvent } from "@/api/types";
import { upsert } from "@/live/frame";
import { liveQuery } from "@/live/query";
import { isNews } from "./events";

export const devicesQuery = liveQuery<Device[]>(
  ["devices"],
  (signal) => answered(hub.GET("/api/v1/devices", { signal })),
  (devices, frame) =>
    frame.topic === "device" ? upsert(devices, frame.data, (other) => other.id === frame.data.id) : devices,
);

const NEWEST = 1000;
const SHOWN = 50;

/** The newest of a device that are news; asked again whenever the device says something. */
export const deviceEventsQuery = (id: string) =>
  queryOptions({
    queryKey: ["devices", id, "events"],
    queryFn: async ({ signal }) => {
      const params = { path: { device: id }, query: { limit: NEWEST } };
      const events = await answered(hub.GET("/api/v1/devices/{device}/events", { params, signal }));
      return events.filter(isNews).slice(0, SHOWN) as DeviceEvent[];
    },
    meta: { apply: (events) => events },
    refetchInterval: 15_000,
  });
