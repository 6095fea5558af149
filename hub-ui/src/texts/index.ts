import { core } from "./en/core";
import { spoken } from "./language";

export const t = await spoken(core, () => import("./de/core").then((texts) => texts.core));
