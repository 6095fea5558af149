import { devices } from "./devices";
import { models } from "./models";
import { overview } from "./overview";
import { runs } from "./runs";
import { confirm, login } from "./session";
import { shell } from "./shell";

/** What several pages say; the others bring their own texts along. */
export const core = { ...shell, login, confirm, overview, devices, runs, models };
