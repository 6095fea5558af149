/** The form's parts in their order; without React. */
import type { App, Dataset, StrategySchema } from "@/api/types";
import type { t } from "@/texts/start";
import {
  appField,
  configuration,
  DEVICES,
  type Field,
  optionFields,
  privacyFields,
  roundFields,
  secureFields,
  startFields,
  strategyField,
  updateFields,
  type Values,
} from "./fields";

export interface Section {
  id: keyof typeof t.start.sections;
  fields: readonly Field[];
  /** Most leave it as it is. */
  folded: boolean;
}

export function sectionsOf(
  values: Values,
  apps: readonly App[],
  strategies: readonly StrategySchema[],
  datasets: readonly Dataset[],
): Section[] {
  const app = apps.find(({ fab_hash }) => fab_hash === values.fab_hash);
  const strategy = strategies.find(({ name }) => name === values["plan.strategy"]);
  return [
    { id: "app", fields: [appField(apps), strategyField(strategies)], folded: false },
    { id: "options", fields: optionFields(strategy), folded: true },
    { id: "configuration", fields: configuration(app), folded: true },
    { id: "devices", fields: DEVICES, folded: true },
    { id: "rounds", fields: roundFields(values), folded: true },
    { id: "start", fields: startFields(values), folded: true },
    { id: "privacy", fields: privacyFields(values), folded: true },
    { id: "secure", fields: secureFields(values), folded: true },
    { id: "updates", fields: updateFields(values, datasets), folded: true },
  ];
}
