import { t as core } from ".";
import * as rolloutStartTexts from "./en/rollout-start";
import * as rolloutsTexts from "./en/rollouts";
import { spoken } from "./language";

const english = { ...rolloutStartTexts, ...rolloutsTexts };
const texts = await spoken(english, async () => {
  const [rolloutStart, rollouts] = await Promise.all([import("./de/rollout-start"), import("./de/rollouts")]);
  return { ...rolloutStart, ...rollouts };
});

export const t = { ...core, ...texts };
