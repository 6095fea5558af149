import { answered, everything, hub, sparse } from "@/api/client";
import type { Device, EnrolmentToken, EnrolmentTokenRequest, ListedToken } from "@/api/types";
import { upsert } from "@/live/frame";
import { liveQuery, pushedQuery } from "@/live/query";

export function createToken(body: EnrolmentTokenRequest): Promise<EnrolmentToken> {
  return answered(hub.POST("/api/v1/enrolment-tokens", { body: sparse(body) }));
}

export function revokeToken(id: string): Promise<ListedToken> {
  return answered(hub.DELETE("/api/v1/enrolment-tokens/{token}", { params: { path: { token: id } } }));
}

/** Devices that have enrolled with a token, as they come. */
export const enrolledQuery = (token: string) =>
  liveQuery<Device[]>(
    ["devices", "enrolled by", token],
    (signal) =>
      everything((query) =>
        hub.GET("/api/v1/devices", { params: { query: { ...query, enrolled_by: token } }, signal }),
      ),
    (devices, frame) =>
      frame.topic === "device" && frame.data.enrolled_by === token
        ? upsert(devices, frame.data, (other) => other.id === frame.data.id)
        : devices,
  );

/** Newest first; a device that appears has used one up. */
export const tokensQuery = pushedQuery<ListedToken[]>(
  ["enrolment-tokens"],
  (signal) => everything((query) => hub.GET("/api/v1/enrolment-tokens", { params: { query }, signal })),
  (frame) => frame.topic === "device" && Date.now() / 1000 - frame.data.enrolled_at < 60,
);
