import { t as core } from ".";
import * as auditTexts from "./en/audit";
import { spoken } from "./language";

const english = { ...auditTexts };
const texts = await spoken(english, async () => {
  const [audit] = await Promise.all([import("./de/audit")]);
  return { ...audit };
});

export const t = { ...core, ...texts };
