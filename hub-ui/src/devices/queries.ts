import { answered, hub } from "@/api/client";
import type { Device } from "@/api/types";
import { upsert } from "@/live/frame";
import { liveQuery } from "@/live/query";

export const devicesQuery = liveQuery<Device[]>(
  ["devices"],
  (signal) => answered(hub.GET("/api/v1/devices", { signal })),
  (devices, frame) =>
    frame.topic === "device" ? upsert(devices, frame.data, (other) => other.id === frame.data.id) : devices,
);
