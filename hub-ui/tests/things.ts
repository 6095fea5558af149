/** Runs, rounds, devices and versions as the hub sends them, with what a test cares about. */

import type { Device, ModelVersion, RingProgress, Rollout, Round, Run } from "@/api/types";
import { briefOf, type Fleet } from "@/devices/fleet";

export function device(fields: Partial<Device> = {}): Device {
  return {
    id: "dev-000000000001",
    name: "press-line-3",
    status: "ok",
    enrolled_at: 0,
    enrolled_by: "",
    last_seen: 100,
    clone: null,
    agent_version: "0.1.0",
    node_id: null,
    desired: { generation: 1 },
    differences: [],
    unknown_since: null,
    wire_version: 3,
    site: "",
    tags: [],
    groups: [],
    note: "",
    reported: null,
    health: null,
    events_accepted: 0,
    events_dropped: 0,
    ...fields,
  };
}

export function fleetOf(...devices: Device[]): Fleet {
  return new Map(devices.map((each) => [each.id, briefOf(each)]));
}

export function run(fields: Partial<Run> = {}): Run {
  return {
    id: "run-000000000001",
    flower_run_id: "1",
    app: "digits 1.0.0",
    fab_hash: "",
    status: "running",
    reason: "",
    config: {},
    promote: "best",
    metric: "accuracy",
    strategy: "FedAvg",
    rounds: 5,
    round: 1,
    started_at: 0,
    finished_at: null,
    eta: null,
    promoted_version: null,
    warning: "",
    started_by: "ada",
    traceparent: "",
    seed: 0,
    weights: "",
    tries: 0,
    rollout: "",
    ...fields,
  };
}

export function round(number: number, fields: Partial<Round> = {}): Round {
  return {
    run_id: "run-000000000001",
    round: number,
    started_at: 0,
    finished_at: null,
    sampled: [],
    answered: [],
    failures: [],
    train_metrics: {},
    evaluate_metrics: {},
    version: null,
    void: "",
    ...fields,
  };
}

export function version(number: number, fields: Partial<ModelVersion> = {}): ModelVersion {
  const weights = { name: "weights.safetensors", sha256: "", size: 1 };
  return {
    model: "digits",
    version: number,
    manifest_sha256: "",
    manifest: {
      model: "digits",
      version: number,
      created_at: number,
      weights,
      run_id: "",
      round: 0,
      format: 1,
    },
    deployable: true,
    promoted: false,
    withdrawn: "",
    ...fields,
  };
}

export function ring(
  fields: Partial<Omit<RingProgress, "ring" | "counts">> = {},
  asked: Partial<RingProgress["ring"]> = {},
  serving = 0,
): RingProgress {
  return {
    ring: { name: "lab", share: 1, soak: 60, ...asked },
    below: 1,
    why: "",
    counts: { devices: serving, serving, refused: 0, rolled_back: 0, silent: 0 },
    ...fields,
  };
}

export function rollout(fields: Partial<Rollout> = {}): Rollout {
  const nothing = { answered: 0, failed: 0, median: 0, judged: 0, correct: 0 };
  return {
    id: "rollout-000000000001",
    model: "digits",
    version: 2,
    before: 1,
    status: "running",
    reason: "",
    rings: [ring({ state: "open" })],
    gates: {
      ...{ serving: 1, settled: 0.9, refusals: 0.1, rollbacks: 0.05, judged_by: 50, errors: 0.02 },
      ...{ slowdown: 2, accuracy: 0, accuracy_loss: 0.05, calls: 0, feedbacks: 0 },
    },
    checks: [],
    figures: nothing,
    figures_before: nothing,
    started_at: 1,
    started_by: "ada",
    looked_at: null,
    ended_at: null,
    steps: [],
    ...fields,
  };
}
