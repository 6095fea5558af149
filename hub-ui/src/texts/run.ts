import { t as core } from ".";
import { receipts } from "./en/receipts";
import { run } from "./en/run";

export const t = { ...core, run, receipts };
