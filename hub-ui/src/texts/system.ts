import { t as core } from ".";
import * as systemTexts from "./en/system";
import { spoken } from "./language";

const english = { ...systemTexts };
const texts = await spoken(english, async () => {
  const [system] = await Promise.all([import("./de/system")]);
  return { ...system };
});

export const t = { ...core, ...texts };
