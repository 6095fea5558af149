import { t as core } from ".";
import * as startTexts from "./en/start";
import { spoken } from "./language";

const english = { ...startTexts };
const texts = await spoken(english, async () => {
  const [start] = await Promise.all([import("./de/start")]);
  return { ...start };
});

export const t = { ...core, ...texts };
