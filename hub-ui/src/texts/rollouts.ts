import { t as core } from ".";
import { rolloutStart } from "./en/rollout-start";
import { rollout, rollouts } from "./en/rollouts";

export const t = { ...core, rollouts, rollout, rolloutStart };
