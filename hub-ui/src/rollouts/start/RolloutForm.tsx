import { Dialog } from "@base-ui/react/dialog";
import { useMutation } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type FormEvent, useEffect, useState } from "react";
import { asProblem } from "@/api/problem";
import { t } from "@/texts/rollouts";
import { Button, buttonLook } from "@/ui/Button";
import { CheckField, TextField } from "@/ui/Field";
import { Fold } from "@/ui/Fold";
import { Problems } from "@/ui/Problems";
import { startRollout } from "../queries";
import { RingFields } from "./RingFields";
import { canary, GATES, inputNamed, type RingRow, requestOf } from "./request";

/** Rings and gates are the hub's own until somebody says otherwise. */
export function RolloutForm({ model, version }: { model: string; version: number }) {
  const navigate = useNavigate();
  const [own, setOwn] = useState(false);
  const [again, setAgain] = useState(false);
  const [rings, setRings] = useState<RingRow[]>([canary(1)]);
  const [gates, setGates] = useState<Record<string, string>>({});
  const start = useMutation({
    mutationFn: () => startRollout(requestOf(model, version, own ? rings : null, gates, again)),
    onSuccess: (rollout) => void navigate({ to: "/rollouts/$id", params: { id: rollout.id } }),
  });
  const detail = start.error ? asProblem(start.error).detail : "";
  const named = inputNamed(detail, rings);
  const wrong = named ? { [named]: detail } : {};
  useEffect(() => {
    if (named) document.getElementById(named)?.focus();
  }, [named]);
  const words = t.rolloutStart;
  const next = Math.max(0, ...rings.map(({ key }) => key)) + 1;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    start.mutate();
  };
  return (
    <form onSubmit={submit} noValidate className="mt-4 space-y-3">
      <CheckField
        id="own-rings"
        label={words.ownRings}
        hint={words.ownRingsHint}
        checked={own}
        onChange={setOwn}
      />
      {own && (
        <>
          {rings.map((ring, index) => (
            <RingFields
              key={ring.key}
              ring={ring}
              number={index + 1}
              wrong={wrong}
              change={(changed) => setRings(rings.map((other) => (other.key === ring.key ? changed : other)))}
              remove={() => setRings(rings.filter(({ key }) => key !== ring.key))}
            />
          ))}
          <div className="flex flex-wrap items-center justify-between gap-2">
            <p className="text-muted">{words.last}</p>
            <Button onClick={() => setRings([...rings, canary(next)])}>{words.addRing}</Button>
          </div>
          <Fold title={words.gates} wanted={named?.startsWith("gates.") ?? false}>
            <div className="grid gap-x-4 gap-y-2.5 sm:grid-cols-2">
              {Object.entries(GATES).map(([gate, fallback]) => (
                <TextField
                  key={gate}
                  id={`gates.${gate}`}
                  label={words.gateFields[gate] ?? gate}
                  error={wrong[`gates.${gate}`]}
                  value={gates[gate] ?? ""}
                  placeholder={t.byDefault(fallback)}
                  inputMode="decimal"
                  onChange={(value) => setGates({ ...gates, [gate]: value })}
                />
              ))}
            </div>
          </Fold>
        </>
      )}
      <CheckField id="again" label={words.again} checked={again} onChange={setAgain} />
      {start.error && <Problems error={start.error} />}
      <div className="flex flex-wrap justify-end gap-2">
        <Dialog.Close className={buttonLook("plain")}>{t.cancel}</Dialog.Close>
        <Button type="submit" tone="main" disabled={start.isPending}>
          {words.submit}
        </Button>
      </div>
    </form>
  );
}
