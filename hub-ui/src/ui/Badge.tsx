import type { LucideIcon } from "lucide-react";
import type { ReactNode } from "react";

const TONES = {
  ok: "text-ok",
  warn: "text-warn",
  bad: "text-bad",
  accent: "text-accent",
  muted: "text-muted",
};

export type Tone = keyof typeof TONES;

interface Props {
  tone: Tone;
  icon: LucideIcon;
  spinning?: boolean;
  title?: string;
  children: ReactNode;
}

/** A state as glyph, text and colour: any one of the three would do. */
export function Badge({ tone, icon: Icon, spinning = false, title, children }: Props) {
  return (
    <span
      {...(title && { title })}
      className={`inline-flex items-start gap-1.5 text-left font-medium ${TONES[tone]}`}
    >
      <Icon aria-hidden className={`mt-0.5 size-4 shrink-0 ${spinning ? "animate-spin" : ""}`} />
      <span>{children}</span>
    </span>
  );
}
