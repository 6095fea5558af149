import { t as core } from ".";
import * as enrolTexts from "./en/enrol";
import { spoken } from "./language";

const english = { ...enrolTexts };
const texts = await spoken(english, async () => {
  const [enrol] = await Promise.all([import("./de/enrol")]);
  return { ...enrol };
});

export const t = { ...core, ...texts };
