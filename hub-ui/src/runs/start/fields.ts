/** The fields of the form that starts a run, each under the name that the hub knows it by; without React. */
import type { App, Dataset, StrategyOption, StrategySchema } from "@/api/types";
import { t } from "@/texts/start";

export type Kind = "int" | "float" | "str" | "bool" | "list" | "choice" | "group";

export interface Field {
  /** As the hub names it in a refusal: `plan.rounds.deadline`. */
  path: string;
  kind: Kind;
  label: string;
  hint?: string;
  /** What holds when nothing is given. */
  fallback?: string;
  required?: boolean;
  choices?: readonly Choice[];
  /** It only decides which others are asked. */
  unsent?: boolean;
}

export interface Choice {
  value: string;
  label: string;
}

export type Values = Readonly<Record<string, string>>;

export const ON = "true";

interface More {
  fallback?: string;
  required?: boolean;
  choices?: readonly Choice[];
  unsent?: boolean;
}

function field(path: string, kind: Kind, more: More = {}): Field {
  const words = t.start.fields[path] ?? { label: path };
  return { path, kind, ...words, ...more };
}

function choices(words: Readonly<Record<string, string>>): Choice[] {
  return Object.entries(words).map(([value, label]) => ({ value, label }));
}

export const PROMOTE = field("promote", "choice", { choices: choices(t.start.choices.promote) });
export const METRIC = field("metric", "str", { fallback: "accuracy" });

export function appField(apps: readonly App[]): Field {
  const listed = apps.map((app) => ({ value: app.fab_hash, label: `${app.name} ${app.version}` }));
  return field("fab_hash", "choice", { choices: listed });
}

/** The app's own configuration. JSON tells 1.0 and 1 not apart: the hub says where a whole number is needed. */
export function configuration(app: App | undefined): Field[] {
  return Object.entries(app?.config ?? {}).map(([key, value]) => ({
    path: `config.${key}`,
    kind: typeof value === "boolean" ? "bool" : typeof value === "number" ? "float" : "str",
    label: key,
    fallback: String(value),
  }));
}

export function strategyField(strategies: readonly StrategySchema[]): Field {
  const listed = strategies.map(({ name, title }) => ({ value: name, label: title }));
  return field("plan.strategy", "choice", {
    choices: [{ value: "", label: t.start.ownStrategy }, ...listed],
  });
}

export function optionFields(strategy: StrategySchema | undefined): Field[] {
  return (strategy?.options ?? []).map((option) => ({
    path: `plan.options.${option.name}`,
    kind: option.choices?.length ? "choice" : option.kind,
    label: option.name,
    hint: optionHint(option),
    required: option.required,
    ...(option.default != null && { fallback: String(option.default) }),
    ...(option.choices?.length && { choices: option.choices.map(asChoice) }),
  }));
}

function asChoice(value: number): Choice {
  return { value: String(value), label: String(value) };
}

function optionHint({ text, least, most, above, below }: StrategyOption): string {
  const range = [
    least != null ? t.start.atLeast(String(least)) : "",
    above != null ? t.start.above(String(above)) : "",
    most != null ? t.start.atMost(String(most)) : "",
    below != null ? t.start.below(String(below)) : "",
  ].filter(Boolean);
  return [text, range.length ? `(${range.join(", ")})` : ""].filter(Boolean).join(" ");
}

export const DEVICES: readonly Field[] = [
  field("plan.filter.tags", "list"),
  field("plan.filter.sites", "list"),
  field("plan.filter.least_samples", "int", { fallback: "0" }),
  field("plan.filter.on_mains", "bool", { fallback: "false" }),
  field("plan.filter.unmetered", "bool", { fallback: "false" }),
];

export function roundFields(values: Values): Field[] {
  const folded = [
    field("plan.folding.exponent", "float", { fallback: "0.5" }),
    field("plan.folding.rounds", "int", { fallback: "3" }),
  ];
  return [
    field("plan.rounds.deadline", "float", { fallback: "0" }),
    field("plan.rounds.quorum", "float", { fallback: "0" }),
    field("plan.rounds.over_sample", "float", { fallback: "0" }),
    field("plan.rounds.wait", "float", { fallback: "3600" }),
    field("plan.folding", "group"),
    ...(values["plan.folding"] === ON ? folded : []),
  ];
}

export function startFields(values: Values): Field[] {
  const asked = field("plan.start", "choice", { choices: choices(t.start.choices.start), unsent: true });
  if (values["plan.start"] === "model")
    return [
      asked,
      field("plan.start.model", "str", { required: true }),
      field("plan.start.version", "int", { required: true }),
    ];
  if (values["plan.start"] === "run")
    return [asked, field("plan.start.run_id", "str", { required: true }), field("plan.start.round", "int")];
  return [asked];
}

export function privacyFields(values: Values): Field[] {
  const mode = values["plan.privacy.mode"] ?? "";
  const asked = field("plan.privacy.mode", "choice", { choices: choices(t.start.choices.privacy) });
  if (!mode) return [asked];
  const needed = (name: string) => field(`plan.privacy.${name}`, "float", { required: true });
  const optional = (name: string, fallback?: string) =>
    field(`plan.privacy.${name}`, "float", fallback ? { fallback } : {});
  const norm = needed("clipping_norm");
  const local = [norm, needed("message_epsilon"), needed("message_delta"), optional("sensitivity")];
  const adaptive = [
    needed("clipped_count_stddev"),
    optional("clipped_share", "0.5"),
    optional("clipping_rate", "0.2"),
  ];
  return [
    asked,
    needed("budget"),
    needed("delta"),
    ...(mode === "local" ? local : [needed("noise_multiplier"), norm]),
    ...(mode.endsWith("adaptive") ? adaptive : []),
    field("plan.privacy.metrics", "choice", { choices: choices(t.start.choices.metrics) }),
  ];
}

export function secureFields(values: Values): Field[] {
  const asked = field("plan.secure", "group");
  if (values["plan.secure"] !== ON) return [asked];
  return [
    asked,
    field("plan.secure.clip", "float", { fallback: "1" }),
    field("plan.secure.max_weight", "int", { fallback: "10000" }),
    field("plan.secure.most", "int", { fallback: "100" }),
    field("plan.secure.least", "int", { fallback: "3" }),
    field("plan.secure.dropout", "float", { fallback: "0.2" }),
    field("plan.secure.colluding", "float", { fallback: "0.1" }),
    field("plan.secure.bits", "int"),
  ];
}

export function updateFields(values: Values, datasets: readonly Dataset[]): Field[] {
  const listed = datasets.map(({ name }) => ({ value: name, label: name }));
  const none = { value: "", label: t.start.choices.noDataset };
  return [
    field("plan.update.codec", "choice", { choices: choices(t.start.choices.codec) }),
    ...(values["plan.update.codec"] === "topk"
      ? [field("plan.update.share", "float", { fallback: "0.05" })]
      : []),
    field("plan.local", "list"),
    field("plan.dataset", "choice", { choices: [none, ...listed] }),
    field("plan.seed", "int"),
  ];
}
