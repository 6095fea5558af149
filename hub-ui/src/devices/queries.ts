import { answered, everything, hub } from "@/api/client";
import type { DeclaredGap, Device, DeviceEvent } from "@/api/types";
import { upsert } from "@/live/frame";
import { liveQuery, polledQuery } from "@/live/query";
import { isNews } from "./events";

export const devicesQuery = liveQuery<Device[]>(
  ["devices"],
  (signal) => everything((query) => hub.GET("/api/v1/devices", { params: { query }, signal })),
  (devices, frame) =>
    frame.topic === "device" ? upsert(devices, frame.data, (other) => other.id === frame.data.id) : devices,
);

const NEWEST = 1000;
const SHOWN = 50;

/** The newest of a device that are news. */
export const deviceEventsQuery = (id: string) =>
  polledQuery<DeviceEvent[]>(["devices", id, "events"], async (signal) => {
    const params = { path: { device: id }, query: { limit: NEWEST } };
    const events = await answered(hub.GET("/api/v1/devices/{device}/events", { params, signal }));
    return events.filter(isNews).slice(0, SHOWN);
  });

/** What a device had to drop, newest first. */
export const gapsQuery = (id: string) =>
  polledQuery<DeclaredGap[]>(
    ["devices", id, "gaps"],
    (signal) => {
      const params = { path: { device: id }, query: { limit: SHOWN } };
      return answered(hub.GET("/api/v1/devices/{device}/gaps", { params, signal }));
    },
    (frame) => frame.topic === "grew" && frame.data.of === "gaps" && frame.data.id === id,
  );
