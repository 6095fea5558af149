import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

const TONES = {
  bad: { box: "border-bad/30 bg-bad-soft", mark: "text-bad" },
  info: { box: "border-accent/30 bg-accent-soft", mark: "text-accent" },
  warn: { box: "border-warn/30 bg-warn-soft", mark: "text-warn" },
};

export type Tone = keyof typeof TONES;

interface Props {
  tone: Tone;
  icon: LucideIcon;
  title: string;
  role?: "alert";
  children: ReactNode;
}

/** Something that the reader must not overlook. */
export function Callout({ tone, icon: Icon, title, role, children }: Props) {
  const look = TONES[tone];
  return (
    <div {...(role && { role })} className={`flex gap-3 rounded-lg border px-4 py-3 ${look.box}`}>
      <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${look.mark}`} />
      <div className="min-w-0 break-words">
        <p className="font-semibold">{title}</p>
        {children}
      </div>
    </div>
  );
}
