import { t as core } from ".";
import * as alertsTexts from "./en/alerts";
import { spoken } from "./language";

const english = { ...alertsTexts };
const texts = await spoken(english, async () => {
  const [alerts] = await Promise.all([import("./de/alerts")]);
  return { ...alerts };
});

export const t = { ...core, ...texts };
