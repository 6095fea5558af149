import { t as core } from ".";
import { device } from "./en/device";
import { run } from "./en/run";

export const t = { ...core, device, run };
