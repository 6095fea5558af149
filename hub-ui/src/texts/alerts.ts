import { t as core } from ".";
import { alerts } from "./en/alerts";

export const t = { ...core, alerts };
