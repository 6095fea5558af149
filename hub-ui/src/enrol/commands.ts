/** How the agent gets onto a device and enrols, one command for each way; without React. */
import type { EnrolmentToken } from "@/api/types";

export type Way = "apt" | "pip" | "installed";

export const WAYS: readonly Way[] = ["apt", "pip", "installed"];

/** `origin`: where this console is reached, which devices reach too. */
export function commandFor(way: Way, token: EnrolmentToken, origin: string): string {
  const pinned = token.ca_sha256 ? ` --ca-sha256 ${token.ca_sha256}` : "";
  const enrol = `flip-agent enrol ${origin} --token ${token.token}${pinned}`;
  switch (way) {
    case "apt":
      return `sudo apt install flip-agent && sudo ${enrol}`;
    case "pip":
      return `pip install 'flip-edge[agent]' && ${enrol}`;
    default:
      return enrol;
  }
}
