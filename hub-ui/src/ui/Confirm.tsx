import { AlertDialog } from "@base-ui/react/alert-dialog";
import { type UseMutationResult, useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { t } from "@/texts";
import { BACKDROP, POPUP } from "@/ui/popup";
import { Button, buttonLook, type Tone } from "./Button";
import { Problems } from "./Problems";

interface Props {
  /** On the button that opens it; `name` says the whole to a screen reader. */
  label: string;
  name: string;
  title: string;
  text: string;
  /** On the button that does it: names the thing. */
  action: string;
  tone?: Tone;
  run: () => Promise<unknown>;
}

/** A button that asks before it acts, and stays open with the hub's words when the hub refuses. */
export function Confirm({ label, name, title, text, action, tone = "main", run }: Props) {
  const [open, setOpen] = useState(false);
  const act: UseMutationResult<unknown, Error, void> = useMutation({
    mutationFn: run,
    onSuccess: () => setOpen(false),
  });
  const change = (next: boolean) => {
    act.reset();
    setOpen(next);
  };
  return (
    <AlertDialog.Root open={open} onOpenChange={change}>
      <AlertDialog.Trigger aria-label={name} className={buttonLook("plain")}>
        {label}
      </AlertDialog.Trigger>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={BACKDROP} />
        <AlertDialog.Popup className={`${POPUP} w-[min(28rem,calc(100vw-2rem))]`}>
          <AlertDialog.Title className="font-semibold text-base">{title}</AlertDialog.Title>
          <AlertDialog.Description className="mt-1.5 text-muted">{text}</AlertDialog.Description>
          {act.error && (
            <div className="mt-4">
              <Problems error={act.error} />
            </div>
          )}
          <div className="mt-5 flex flex-wrap justify-end gap-2">
            <AlertDialog.Close className={buttonLook("plain")}>{t.cancel}</AlertDialog.Close>
            <Button tone={tone} disabled={act.isPending} onClick={() => act.mutate()}>
              {action}
            </Button>
          </div>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
