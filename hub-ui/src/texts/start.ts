import { t as core } from ".";
import { start } from "./en/start";

export const t = { ...core, start };
