import { t as core } from ".";
import { account, tokens, users } from "./en/people";

export const t = { ...core, users, tokens, account };
