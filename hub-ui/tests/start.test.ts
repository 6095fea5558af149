import { expect, test } from "vitest";
import { canary, inputNamed, requestOf as rolloutOf } from "@/rollouts/start/request";
import { privacyFields, roundFields, secureFields, startFields } from "@/runs/start/fields";
import { fieldNamed, requestOf, wrongIn } from "@/runs/start/request";

const rate = { path: "config.a.rate", kind: "float", label: "a.rate", fallback: "0.1" } as const;

test("only what is said is asked for, under the hub's names", () => {
  const values = {
    "config.a.rate": "0.5",
    "plan.rounds.quorum": "0.5",
    "plan.folding": "true",
    "plan.start": "model",
    "plan.start.model": "digits",
    "plan.start.version": "3",
  };
  const fields = [rate, ...roundFields(values), ...startFields(values), ...secureFields(values)];
  expect(requestOf(fields, values)).toEqual({
    config: { "a.rate": 0.5 },
    plan: { rounds: { quorum: 0.5 }, folding: {}, start: { model: "digits", version: 3 } },
  });
});

test("what was typed for another choice is not sent", () => {
  const values = { "plan.privacy.mode": "", "plan.privacy.budget": "3" };
  expect(requestOf(privacyFields(values), values)).toEqual({});
});

test("numbers and what is needed are looked at before the hub is asked", () => {
  const values = {
    "plan.privacy.mode": "local",
    "plan.privacy.budget": "much",
    "plan.privacy.delta": "1e-5",
  };
  const wrong = wrongIn(privacyFields(values), values);
  expect(wrong["plan.privacy.budget"]).toBe("A number is needed.");
  expect(wrong["plan.privacy.message_delta"]).toBe("This is needed.");
  expect(wrong["plan.privacy.delta"]).toBeUndefined();
});

test.each([
  ["plan.privacy.budget: 3 rounds cost epsilon 8.4", "plan.privacy.budget"],
  ["Expected `float` > 0.0 - at `$.plan.privacy.budget`", "plan.privacy.budget"],
  ["plan.privacy: Object missing required field `delta`", "plan.privacy.delta"],
  ["plan.privacy: in mode hub-fixed the hub looks at single updates", "plan.privacy.mode"],
  ["plan.secure.bits: too many", "plan.secure.bits"],
  ["a.rate is 'x'", "config.a.rate"],
  ["no device is enrolled", undefined],
])("%s stands at %s", (detail, path) => {
  const values = { "plan.privacy.mode": "hub-fixed", "plan.secure": "true" };
  expect(fieldNamed(detail, [rate, ...privacyFields(values), ...secureFields(values)])).toBe(path);
});

test("a rollout's last ring is everybody, and a refusal names its ring or gate", () => {
  const rings = [canary(1), { ...canary(2), name: "hall", tags: "lab, hall 2" }];
  const request = rolloutOf("digits", 3, rings, { errors: "0.01" }, false);
  expect(request.rings?.map(({ name }) => name)).toEqual(["canary", "hall", "everybody"]);
  expect(request.rings?.[1]?.tags).toEqual(["lab", "hall 2"]);
  expect(request.gates).toEqual({ errors: 0.01 });
  expect(inputNamed("ring 'hall' is empty: no device is enrolled with tag lab", rings)).toBe("ring-2.name");
  expect(inputNamed("rings[1].share: Expected `float` <= 1.0", rings)).toBe("ring-2.share");
  expect(inputNamed("gates.refusals: Expected `float` <= 1.0", rings)).toBe("gates.refusals");
  expect(rolloutOf("digits", 3, null, {}, true)).toEqual({ model: "digits", version: 3, again: true });
});
