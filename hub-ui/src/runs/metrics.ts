import type { Round } from "@/api/types";

/** Where a value was measured: while devices trained, by their evaluation, or by the app on the hub itself. */
export type Origin = "training" | "devices" | "hub";

export interface Curve {
  origin: Origin;
  /** One per round, `null` where the round has none (yet). */
  values: (number | null)[];
}

export interface Chart {
  name: string;
  rounds: number[];
  curves: Curve[];
}

const ORIGINS: readonly Origin[] = ["training", "devices", "hub"];
const PREFIX = /^(train|training|eval|evaluate|evaluation|val|test)[-_]/;
const SYNONYMS: Record<string, string> = { acc: "accuracy" };

/**
 * One chart per metric, one curve per origin: `train_loss`, `loss` and `hub-loss` are three curves of "loss". What
 * decides the best comes first, then losses, then the rest by name.
 */
export function charts(rounds: readonly Round[], decisive: string): Chart[] {
  const ordered = [...rounds].sort((one, other) => one.round - other.round);
  const measured = ordered.map(measurements);
  const names = [...new Set(measured.flatMap((values) => values.map(({ name }) => name)))];
  const first = plainName(decisive);
  const rank = (name: string) => (name === first ? 0 : name.endsWith("loss") ? 1 : 2);
  return names
    .sort((one, other) => rank(one) - rank(other) || one.localeCompare(other))
    .map((name) => ({
      name,
      rounds: ordered.map((round) => round.round),
      curves: ORIGINS.map((origin) => ({
        origin,
        values: measured.map(
          (values) => values.find((v) => v.name === name && v.origin === origin)?.value ?? null,
        ),
      })).filter((curve) => curve.values.some((value) => value !== null)),
    }));
}

interface Measurement {
  name: string;
  origin: Origin;
  value: number;
}

function measurements(round: Round): Measurement[] {
  const trained = Object.entries(round.train_metrics).map(
    ([key, value]): Measurement => ({ name: plainName(key), origin: "training", value }),
  );
  const evaluated = Object.entries(round.evaluate_metrics).map(
    ([key, value]): Measurement => ({
      name: plainName(key),
      origin: key.startsWith("hub-") ? "hub" : "devices",
      value,
    }),
  );
  return [...trained, ...evaluated];
}

function plainName(key: string): string {
  const name = key.replace(/^hub-/, "").replace(PREFIX, "");
  return SYNONYMS[name] ?? name;
}
