import { t as core } from ".";
import { enrol } from "./en/enrol";

export const t = { ...core, enrol };
