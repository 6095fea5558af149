import { Dialog } from "@base-ui/react/dialog";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { hub } from "@/api/client";
import type { DeviceAction } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { buttonLook } from "@/ui/Button";
import { Loaded } from "@/ui/Loaded";
import { BACKDROP, POPUP } from "@/ui/popup";

/** The text that came with an action's result, behind a button, for who may read it. */
export function ActionLog({ action }: { action: DeviceAction }) {
  const [open, setOpen] = useState(false);
  const mayOperate = useMay("devices:operate");
  if (!mayOperate) return null;
  const what = t.device.actionKinds[action.kind] ?? action.kind;
  return (
    <Dialog.Root open={open} onOpenChange={setOpen}>
      <Dialog.Trigger aria-label={t.device.showLogOf(what)} className={`${buttonLook("plain")} mt-1`}>
        {t.device.showLog}
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          className={`${POPUP} flex max-h-[calc(100dvh-2rem)] w-[min(60rem,calc(100vw-2rem))] flex-col`}
        >
          <Dialog.Title className="mb-3 font-semibold text-base">{what}</Dialog.Title>
          {open && <Text action={action} />}
          <div className="mt-4 flex justify-end">
            <Dialog.Close className={buttonLook("plain")}>{t.close}</Dialog.Close>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function Text({ action: { device, id } }: { action: DeviceAction }) {
  const query = useQuery({
    queryKey: ["devices", device, "actions", id, "log"],
    queryFn: async ({ signal }) => {
      const path = { device, action: id };
      const { data } = await hub.GET("/api/v1/devices/{device}/actions/{action}/log", {
        params: { path },
        parseAs: "text",
        signal,
      });
      return String(data ?? "");
    },
    staleTime: Number.POSITIVE_INFINITY,
  });
  return (
    <Loaded query={query}>
      {(text) => (
        <pre
          // biome-ignore lint/a11y/noNoninteractiveTabindex: so that a keyboard can scroll it
          tabIndex={0}
          className="min-h-0 flex-1 overflow-auto rounded-md border border-line bg-raised p-3 font-mono text-xs"
        >
          {text || t.device.noLog}
        </pre>
      )}
    </Loaded>
  );
}
