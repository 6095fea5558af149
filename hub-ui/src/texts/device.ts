import { t as core } from ".";
import * as deviceTexts from "./en/device";
import * as runTexts from "./en/run";
import { spoken } from "./language";

const english = { ...deviceTexts, ...runTexts };
const texts = await spoken(english, async () => {
  const [device, run] = await Promise.all([import("./de/device"), import("./de/run")]);
  return { ...device, ...run };
});

export const t = { ...core, ...texts };
