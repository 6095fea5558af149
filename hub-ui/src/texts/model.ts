import { t as core } from ".";
import * as lineageTexts from "./en/lineage";
import * as modelTexts from "./en/model";
import { spoken } from "./language";

const english = { ...lineageTexts, ...modelTexts };
const texts = await spoken(english, async () => {
  const [lineage, model] = await Promise.all([import("./de/lineage"), import("./de/model")]);
  return { ...lineage, ...model };
});

export const t = { ...core, ...texts };
