import type { ButtonHTMLAttributes } from "react";

type Props = ButtonHTMLAttributes<HTMLButtonElement>;

const TONES = {
  plain: "border-line bg-surface text-ink hover:border-edge hover:bg-raised",
  main: "border-transparent bg-accent-fill text-on-accent hover:brightness-110",
  danger: "border-transparent bg-bad-fill text-on-accent hover:brightness-110",
};

export type Tone = keyof typeof TONES;

export function buttonLook(tone: Tone): string {
  return `inline-flex min-h-8 items-center whitespace-nowrap justify-center gap-2 rounded-md border px-3 py-1 font-medium transition-colors disabled:opacity-60 ${TONES[tone]}`;
}

export function Button({ tone = "plain", className = "", ...props }: Props & { tone?: Tone }) {
  return <button type="button" {...props} className={`${buttonLook(tone)} ${className}`} />;
}

export function IconButton({ label, className = "", children, ...props }: Props & { label: string }) {
  return (
    <button
      type="button"
      {...props}
      aria-label={label}
      title={label}
      className={`inline-grid size-9 shrink-0 place-items-center rounded-md text-muted hover:bg-raised hover:text-ink [&_svg]:size-4.5 [&_svg]:stroke-[1.75] ${className}`}
    >
      {children}
    </button>
  );
}
