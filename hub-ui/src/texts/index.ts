import { core } from "./en/core";

export const t = core;
