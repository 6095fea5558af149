import { answered, everything, hub } from "@/api/client";
import type {
  Contribution,
  LateContribution,
  LateCounts,
  MessageSpans,
  ReceiptSeal,
  RoundTraffic,
  Run,
  RunDetail,
  Turnout,
} from "@/api/types";
import { upsert } from "@/live/frame";
import { gatheredQuery, liveQuery, pushedQuery } from "@/live/query";

export const runsQuery = liveQuery<Run[]>(
  ["runs"],
  (signal) => everything((query) => hub.GET("/api/v1/runs", { params: { query }, signal })),
  (runs, frame) =>
    frame.topic === "run" ? upsert(runs, frame.data, (other) => other.id === frame.data.id) : runs,
);

export const runQuery = (id: string) =>
  liveQuery<RunDetail>(
    ["runs", id],
    (signal) => answered(hub.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: id } }, signal })),
    (detail, frame) => {
      if (frame.topic === "run" && frame.data.id === id) return { ...detail, run: frame.data };
      if (frame.topic === "round" && frame.data.run_id === id)
        return {
          ...detail,
          rounds: upsert(detail.rounds, frame.data, (other) => other.round === frame.data.round),
        };
      return detail;
    },
  );

/** Whom the run can count on now; null once it has ended. */
export const turnoutQuery = (id: string) =>
  gatheredQuery<Turnout | null>(
    ["runs", id, "turnout"],
    async (signal) => {
      const detail = await answered(
        hub.GET("/api/v1/runs/{run_id}", { params: { path: { run_id: id } }, signal }),
      );
      return detail.turnout ?? null;
    },
    (frame) => frame.topic === "device" || (frame.topic === "run" && frame.data.id === id),
  );

interface Late extends LateCounts {
  kept: LateContribution[];
}

/** Replies that no round took; they may come after the run's end. */
export const lateQuery = (id: string) =>
  pushedQuery<Late>(
    ["runs", id, "late"],
    async (signal) => {
      const path = { run_id: id };
      const [kept, counts] = await Promise.all([
        everything((query) => hub.GET("/api/v1/runs/{run_id}/late", { params: { path, query }, signal })),
        answered(hub.GET("/api/v1/runs/{run_id}/late/counts", { params: { path }, signal })),
      ]);
      return { kept, ...counts };
    },
    (frame) => frame.topic === "grew" && frame.data.of === "late" && frame.data.id === id,
  );

const NEWEST = 40;

/** What became of the newest contributions. */
export const contributionsQuery = (id: string) =>
  pushedQuery<Contribution[]>(
    ["runs", id, "contributions"],
    (signal) => {
      const params = { path: { run_id: id }, query: { limit: NEWEST } };
      return answered(hub.GET("/api/v1/runs/{run_id}/contributions", { params, signal }));
    },
    (frame) => frame.topic === "round" && frame.data.run_id === id,
  );

/** Of the chain of its receipts, as it is now. */
export const sealQuery = (id: string) =>
  pushedQuery<ReceiptSeal>(
    ["runs", id, "receipts"],
    (signal) =>
      answered(hub.GET("/api/v1/runs/{run_id}/receipts/seal", { params: { path: { run_id: id } }, signal })),
    (frame) =>
      (frame.topic === "round" && frame.data.run_id === id) ||
      (frame.topic === "run" && frame.data.id === id),
  );

const MESSAGES = 500;

/** Where the time went on the devices, the message that ended last first. */
export const spansQuery = ({ id, flower_run_id }: Run) =>
  pushedQuery<MessageSpans[]>(
    ["runs", id, "spans"],
    (signal) => {
      const params = { path: { run_id: id }, query: { limit: MESSAGES } };
      return answered(hub.GET("/api/v1/runs/{run_id}/spans", { params, signal }));
    },
    (frame) => frame.topic === "grew" && frame.data.of === "spans" && frame.data.id === flower_run_id,
  );

/** How many bytes came in for each round. */
export const trafficQuery = (id: string) =>
  pushedQuery<RoundTraffic[]>(
    ["runs", id, "traffic"],
    (signal) =>
      answered(
        hub.GET("/api/v1/runs/{run_id}/contributions/traffic", { params: { path: { run_id: id } }, signal }),
      ),
    (frame) => frame.topic === "round" && frame.data.run_id === id,
  );

export function pauseRun(id: string): Promise<Run> {
  return answered(hub.POST("/api/v1/runs/{run_id}/pause", { params: { path: { run_id: id } } }));
}

export function resumeRun(id: string): Promise<Run> {
  return answered(hub.POST("/api/v1/runs/{run_id}/resume", { params: { path: { run_id: id } } }));
}

export function stopRun(id: string): Promise<Run> {
  return answered(hub.POST("/api/v1/runs/{run_id}/stop", { params: { path: { run_id: id } } }));
}
