import { t as core } from ".";
import { audit } from "./en/audit";

export const t = { ...core, audit };
