import { t as core } from ".";
import { lineage } from "./en/lineage";
import { model } from "./en/model";

export const t = { ...core, model, lineage };
