import { answered, everything, hub } from "@/api/client";
import type { RingDevice, Rollout, RolloutRequest } from "@/api/types";
import { upsert } from "@/live/frame";
import { liveQuery, pushedQuery } from "@/live/query";

/** Of one model, newest first. */
export const rolloutsQuery = (model: string) =>
  liveQuery<Rollout[]>(
    ["models", model, "rollouts"],
    (signal) =>
      everything((query) => hub.GET("/api/v1/rollouts", { params: { query: { ...query, model } }, signal })),
    (rollouts, frame) =>
      frame.topic === "rollout" && frame.data.model === model ? withRollout(rollouts, frame.data) : rollouts,
  );

export const rolloutQuery = (id: string) =>
  liveQuery<Rollout>(
    ["rollouts", id],
    (signal) =>
      answered(hub.GET("/api/v1/rollouts/{rollout}", { params: { path: { rollout: id } }, signal })),
    (rollout, frame) => (frame.topic === "rollout" && frame.data.id === id ? frame.data : rollout),
  );

export const ringDevicesQuery = (id: string) =>
  pushedQuery<RingDevice[]>(
    ["rollouts", id, "devices"],
    (signal) =>
      everything((query) =>
        hub.GET("/api/v1/rollouts/{rollout}/devices", { params: { path: { rollout: id }, query }, signal }),
      ),
    (frame) => frame.topic === "rollout" && frame.data.id === id,
  );

export function startRollout(body: RolloutRequest): Promise<Rollout> {
  return answered(hub.POST("/api/v1/rollouts", { body }));
}

export type Decision = "halt" | "resume" | "rollback";

export function decide(id: string, decision: Decision): Promise<Rollout> {
  const given = { params: { path: { rollout: id } }, body: { reason: "" } };
  if (decision === "halt") return answered(hub.POST("/api/v1/rollouts/{rollout}/halt", given));
  if (decision === "resume") return answered(hub.POST("/api/v1/rollouts/{rollout}/resume", given));
  return answered(hub.POST("/api/v1/rollouts/{rollout}/rollback", given));
}

/** The newest first, as the hub lists them. */
export function withRollout(rollouts: readonly Rollout[], changed: Rollout): Rollout[] {
  const after = upsert(rollouts, changed, (other) => other.id === changed.id);
  return after.sort((one, other) => other.started_at - one.started_at);
}
