import { alerts } from "./alerts";
import { device, devices } from "./devices";
import { enrol } from "./enrol";
import { lineage } from "./lineage";
import { model, models } from "./models";
import { overview } from "./overview";
import { receipts } from "./receipts";
import { rolloutStart } from "./rollout-start";
import { rollout, rollouts } from "./rollouts";
import { run, runs } from "./runs";
import { confirm, login } from "./session";
import { shell } from "./shell";
import { start } from "./start";

/** Every text of the console, in English. Another language is another object of the type `Texts`. */
export const en = {
  ...shell,
  login,
  confirm,
  overview,
  devices,
  device,
  enrol,
  runs,
  run,
  start,
  models,
  model,
  lineage,
  receipts,
  rollouts,
  rollout,
  rolloutStart,
  alerts,
};

export type Texts = typeof en;
