import { type ReactNode, useState } from "react";

interface Props {
  title: string;
  /** Beside the title, so that what is folded away is not forgotten. */
  note?: string;
  /** It opens by itself, for something in it needs a look. */
  wanted?: boolean;
  children: ReactNode;
}

/** A part of a form that most leave as it is. */
export function Fold({ title, note, wanted = false, children }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <details
      open={open || wanted}
      onToggle={(event) => setOpen(event.currentTarget.open)}
      className="rounded-lg border border-line bg-surface shadow-card"
    >
      <summary className="cursor-pointer rounded-lg px-4 py-3 font-semibold hover:bg-raised/60">
        {title}
        {note && <span className="ml-2 font-normal text-muted">{note}</span>}
      </summary>
      <div className="border-line border-t px-4 py-4">{children}</div>
    </details>
  );
}
