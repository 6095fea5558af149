/** How the agent gets onto a device and enrols, one command for each way; without React. */
import type { EnrolmentToken } from "@/api/types";

export type Way = "script" | "apt" | "pip" | "installed";

/** The script comes first, where the hub has packages that it could install. */
export function waysFor(token: EnrolmentToken): readonly Way[] {
  const ways: readonly Way[] = ["apt", "pip", "installed"];
  return token.install_sha256 ? ["script", ...ways] : ways;
}

/** `origin`: where this console is reached, which devices reach too. */
export function commandFor(way: Way, token: EnrolmentToken, origin: string): string {
  const pinned = token.ca_sha256 ? ` --ca-sha256 ${token.ca_sha256}` : "";
  const enrol = `flip-agent enrol ${origin} --token ${token.token}${pinned}`;
  switch (way) {
    case "script":
      return [
        `curl -fsS${pinned && "k"} ${origin}/install.sh -o flip-install.sh`,
        `echo '${token.install_sha256}  flip-install.sh' | sha256sum -c --quiet`,
        `sudo sh flip-install.sh --hub ${origin} --token ${token.token}${pinned}`,
      ].join(" && ");
    case "apt":
      return `sudo apt install flip-agent && sudo ${enrol}`;
    case "pip":
      return `pip install 'flip-edge[agent]' && ${enrol}`;
    default:
      return enrol;
  }
}
