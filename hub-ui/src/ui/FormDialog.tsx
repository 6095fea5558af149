import { Dialog } from "@base-ui/react/dialog";
import { type UseMutationResult, useMutation } from "@tanstack/react-query";
import { type FormEvent, type ReactNode, useState } from "react";
import { t } from "@/texts";
import { BACKDROP, POPUP } from "@/ui/popup";
import { Button, buttonLook, type Tone } from "./Button";
import { Problems } from "./Problems";

interface Props {
  /** On the button that opens it; `name` says the whole to a screen reader. */
  label: string;
  name: string;
  title: string;
  text?: string;
  /** On the button that does it. */
  action: string;
  tone?: Tone;
  /** Of the button that opens it. */
  look?: Tone;
  /** Whether what is needed is there. */
  ready?: boolean;
  run: () => Promise<unknown>;
  children: ReactNode;
}

/** A button, and behind it a small form; it stays open with the hub's words when the hub refuses. */
export function FormDialog(props: Props) {
  const {
    label,
    name,
    title,
    text,
    action,
    tone = "main",
    look = "plain",
    ready = true,
    run,
    children,
  } = props;
  const [open, setOpen] = useState(false);
  const act: UseMutationResult<unknown, Error, void> = useMutation({
    mutationFn: run,
    onSuccess: () => setOpen(false),
  });
  const change = (next: boolean) => {
    act.reset();
    setOpen(next);
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    act.mutate();
  };
  return (
    <Dialog.Root open={open} onOpenChange={change}>
      <Dialog.Trigger aria-label={name} className={buttonLook(look)}>
        {label}
      </Dialog.Trigger>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          className={`${POPUP} max-h-[calc(100dvh-2rem)] w-[min(32rem,calc(100vw-2rem))] overflow-y-auto`}
        >
          <Dialog.Title className="font-semibold text-base">{title}</Dialog.Title>
          {text && <Dialog.Description className="mt-1.5 text-muted">{text}</Dialog.Description>}
          <form onSubmit={submit} className="mt-4 space-y-4">
            {act.error && <Problems error={act.error} />}
            {children}
            <div className="flex flex-wrap justify-end gap-2">
              <Dialog.Close className={buttonLook("plain")}>{t.cancel}</Dialog.Close>
              <Button type="submit" tone={tone} disabled={act.isPending || !ready}>
                {action}
              </Button>
            </div>
          </form>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
