import { Dialog } from "@base-ui/react/dialog";
import { useState } from "react";
import type { ModelVersion } from "@/api/types";
import { t } from "@/texts/rollouts";
import { buttonLook } from "@/ui/Button";
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
        <Dialog.Backdrop className="fixed inset-0 z-40 bg-backdrop" />
        <Dialog.Popup className="-translate-x-1/2 -translate-y-1/2 fixed top-1/2 left-1/2 z-50 max-h-[calc(100dvh-2rem)] w-[min(40rem,calc(100vw-2rem))] overflow-y-auto rounded-xl border border-line bg-surface p-5 shadow-dialog">
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
