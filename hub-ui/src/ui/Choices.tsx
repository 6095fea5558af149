import type { Choice } from "./Field";

interface Props<T extends string> {
  label: string;
  choices: readonly (Choice & { value: T })[];
  value: T;
  onChange: (value: T) => void;
}

/** A few alternatives side by side, of which one is chosen. */
export function Choices<T extends string>({ label, choices, value, onChange }: Props<T>) {
  return (
    <fieldset className="flex flex-wrap gap-1.5">
      <legend className="sr-only">{label}</legend>
      {choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === value}
          onClick={() => onChange(choice.value)}
          className="inline-flex h-9 items-center gap-1.5 rounded-md border border-line bg-surface px-3 hover:border-edge aria-pressed:border-accent aria-pressed:bg-accent-soft"
        >
          {choice.label}
        </button>
      ))}
    </fieldset>
  );
}
