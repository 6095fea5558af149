import { t as core } from ".";
import * as peopleTexts from "./en/people";
import { spoken } from "./language";

const english = { ...peopleTexts };
const texts = await spoken(english, async () => {
  const [people] = await Promise.all([import("./de/people")]);
  return { ...people };
});

export const t = { ...core, ...texts };
