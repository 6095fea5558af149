import { t as core } from ".";
import * as receiptsTexts from "./en/receipts";
import * as runTexts from "./en/run";
import { spoken } from "./language";

const english = { ...receiptsTexts, ...runTexts };
const texts = await spoken(english, async () => {
  const [receipts, run] = await Promise.all([import("./de/receipts"), import("./de/run")]);
  return { ...receipts, ...run };
});

export const t = { ...core, ...texts };
