import { expect, test } from "vitest";
import type { EnrolmentToken } from "@/api/types";
import { commandFor, waysFor } from "@/enrol/commands";

const ORIGIN = "https://hub.example:8000";
const TOKEN: EnrolmentToken = {
  id: "tok-1",
  token: "enrol_x",
  expires_at: 0,
  uses: 1,
  url: ORIGIN,
  ca_sha256: "ab12",
  install_sha256: "cd34",
};

test("the script is checked by its hash before it is run, and pins the hub's authority", () => {
  expect(waysFor(TOKEN)[0]).toBe("script");
  expect(commandFor("script", TOKEN, ORIGIN)).toBe(
    "curl -fsSk https://hub.example:8000/install.sh -o flip-install.sh" +
      " && echo 'cd34  flip-install.sh' | sha256sum -c --quiet" +
      " && sudo sh flip-install.sh --hub https://hub.example:8000 --token enrol_x --ca-sha256 ab12",
  );
});

test("a hub with a certificate of somebody else's is reached as the system trusts it", () => {
  const command = commandFor("script", { ...TOKEN, ca_sha256: "" }, ORIGIN);
  expect(command).toContain("curl -fsS https");
  expect(command).not.toContain("--ca-sha256");
});

test("a hub without packages shows no script", () => {
  expect(waysFor({ ...TOKEN, install_sha256: "" })).toEqual(["apt", "pip", "installed"]);
});
