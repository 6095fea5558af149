import { Dialog } from "@base-ui/react/dialog";
import { useState } from "react";
import type { ModelVersion } from "@/api/types";
import { t } from "@/texts/rollouts";
import { buttonLook } from "@/ui/Button";
import { BACKDROP, POPUP } from "@/ui/popup";
import { RolloutForm } from "./RolloutForm";

/** A button, and behind it the form that brings a version to the fleet ring by ring. */
export function RollOut({ version: { model, version } }: { version: ModelVersion }) {
  const [open, setOpen] = useState(false);
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger aria-label={t.rolloutStart.name(model, version)} className={buttonLook("plain")}>
        {t.rolloutStart.action}
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          className={`${POPUP} max-h-[calc(100dvh-2rem)] w-[min(40rem,calc(100vw-2rem))] overflow-y-auto`}
        >
          <Dialog.Title className="font-semibold text-base">
            {t.rolloutStart.title(model, version)}
          </Dialog.Title>
          <Dialog.Description className="mt-1.5 text-muted">{t.rolloutStart.text}</Dialog.Description>
          <RolloutForm model={model} version={version} />
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
