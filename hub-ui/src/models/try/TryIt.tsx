import { Dialog } from "@base-ui/react/dialog";
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { ModelVersion } from "@/api/types";
import { fleetQuery } from "@/devices/fleet";
import { ask } from "@/devices/operations";
import { useMay } from "@/session/may";
import { t } from "@/texts/model";
import { Button, buttonLook } from "@/ui/Button";
import { Choices } from "@/ui/Choices";
import { SelectField, TextAreaField } from "@/ui/Field";
import { Problems } from "@/ui/Problems";
import { BACKDROP, POPUP } from "@/ui/popup";
import { Answer } from "./Answer";
import { DrawPad } from "./DrawPad";
import { exampleOf, inputOf, numbersIn, requestOf, type Spec, scaleOf, sideOf, sizeOf } from "./input";

/** Asks a device that serves this version for an answer to what one draws or types; nothing where none serves it. */
export function TryIt({ version }: { version: ModelVersion }) {
  const [open, setOpen] = useState(false);
  const mayOperate = useMay("devices:operate");
  const { data: fleet } = useQuery(fleetQuery);
  const spec = inputOf(version);
  const served = `${version.model}@${version.version}`;
  const devices = [...(fleet?.values() ?? [])].filter(
    ({ serving = [], status }) => status !== "revoked" && serving.includes(served),
  );
  if (!mayOperate || !spec || devices.length === 0) return null;
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger className={buttonLook("plain")}>{t.model.try.action}</Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          className={`${POPUP} max-h-[calc(100dvh-2rem)] w-[min(38rem,calc(100vw-2rem))] overflow-y-auto`}
        >
          <Dialog.Title className="font-semibold text-base">{t.model.try.title(served)}</Dialog.Title>
          <Dialog.Description className="mt-1.5 text-muted">{t.model.try.text}</Dialog.Description>
          <Trial
            version={version}
            spec={spec}
            devices={devices.map(({ id, name }) => ({ value: id, label: name }))}
          />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

interface TrialProps {
  version: ModelVersion;
  spec: Spec;
  devices: { value: string; label: string }[];
}

function Trial({ version, spec, devices }: TrialProps) {
  const example = exampleOf(version, spec);
  const side = sideOf(spec);
  const [device, choose] = useState(devices[0]?.value ?? "");
  const [way, setWay] = useState<"draw" | "numbers">(side > 0 ? "draw" : "numbers");
  const [drawn, setDrawn] = useState<number[]>([]);
  const [typed, type] = useState(example.join(", "));
  const data = way === "draw" ? drawn : numbersIn(typed);
  const right = data.length === sizeOf(spec) && data.every(Number.isFinite);
  const trial = useMutation({
    mutationFn: () =>
      ask(device, { kind: "try", model: version.model, input: requestOf(spec, data), lifetime: 120 }),
  });
  return (
    <form
      className="mt-4 space-y-4"
      onSubmit={(event) => {
        event.preventDefault();
        trial.mutate();
      }}
    >
      <SelectField
        id="try-device"
        label={t.model.try.device}
        value={device}
        onChange={choose}
        choices={devices}
      />
      {side > 0 && (
        <Choices
          label={t.model.try.way}
          choices={[
            { value: "draw", label: t.model.try.draw },
            { value: "numbers", label: t.model.try.numbers },
          ]}
          value={way}
          onChange={setWay}
        />
      )}
      {way === "draw" ? (
        <DrawPad side={side} scale={scaleOf(example)} onDrawn={setDrawn} />
      ) : (
        <TextAreaField
          id="try-numbers"
          label={t.model.try.numbersOf(spec.name, sizeOf(spec))}
          error={typed.trim() && !right ? t.model.try.wrong(data.length, sizeOf(spec)) : undefined}
          value={typed}
          onChange={type}
        />
      )}
      {trial.error && <Problems error={trial.error} />}
      {trial.data && <Answer asked={trial.data} labels={version.manifest.labels ?? []} />}
      <div className="flex justify-end gap-2">
        <Dialog.Close className={buttonLook("plain")}>{t.close}</Dialog.Close>
        <Button type="submit" tone="main" disabled={!right || trial.isPending}>
          {t.model.try.ask}
        </Button>
      </div>
    </form>
  );
}
