import { t as core } from ".";
import { settings, system } from "./en/system";

export const t = { ...core, system, settings };
