import { Search } from "lucide-react";
import type { ReactNode } from "react";

export interface Choice {
  value: string;
  label: string;
}

interface Words {
  /** Of the element too: a refusal leads there. */
  id: string;
  label: string;
  hint?: string | undefined;
  /** What is wrong with it. */
  error?: string | undefined;
}

interface Editing {
  value: string;
  onChange: (value: string) => void;
}

const LOOK =
  "h-9 w-full rounded-md border border-edge bg-surface px-2.5 placeholder:text-muted aria-invalid:border-bad";

export function TextField({
  id,
  label,
  hint,
  error,
  value,
  onChange,
  ...more
}: Words & Editing & { placeholder?: string; inputMode?: "decimal" | "numeric"; required?: boolean }) {
  return (
    <Labelled id={id} label={label} hint={hint} error={error}>
      <input
        {...more}
        {...described(id, hint, error)}
        id={id}
        value={value}
        autoComplete="off"
        spellCheck={false}
        onChange={(event) => onChange(event.target.value)}
        className={LOOK}
      />
    </Labelled>
  );
}

export function PasswordField({
  id,
  label,
  value,
  onChange,
  current = false,
}: Words & Editing & { current?: boolean }) {
  return (
    <Labelled id={id} label={label}>
      <input
        id={id}
        type="password"
        required
        {...(!current && { minLength: 12 })}
        value={value}
        autoComplete={current ? "current-password" : "new-password"}
        onChange={(event) => onChange(event.target.value)}
        className={LOOK}
      />
    </Labelled>
  );
}

/** What a list is searched by; `/` leads to the first one of a page. */
export function SearchField({ label, value, onChange }: Editing & { label: string }) {
  return (
    <label className="relative w-full sm:w-64 sm:max-w-64 sm:grow sm:basis-44">
      <span className="sr-only">{label}</span>
      <Search aria-hidden className="absolute top-2.5 left-2.5 size-4 text-muted" />
      <input
        type="search"
        data-search
        value={value}
        placeholder={label}
        onChange={(event) => onChange(event.target.value)}
        className="h-9 w-full rounded-md border border-edge bg-surface pr-2 pl-8 placeholder:text-muted"
      />
    </label>
  );
}

export function TextAreaField({ id, label, hint, error, value, onChange }: Words & Editing) {
  return (
    <Labelled id={id} label={label} hint={hint} error={error}>
      <textarea
        {...described(id, hint, error)}
        id={id}
        value={value}
        rows={6}
        spellCheck={false}
        onChange={(event) => onChange(event.target.value)}
        className="w-full rounded-md border border-edge bg-surface px-2.5 py-2 font-mono text-xs aria-invalid:border-bad"
      />
    </Labelled>
  );
}

export function SelectField({
  id,
  label,
  hint,
  error,
  value,
  onChange,
  choices,
}: Words & Editing & { choices: readonly Choice[] }) {
  return (
    <Labelled id={id} label={label} hint={hint} error={error}>
      <select
        {...described(id, hint, error)}
        id={id}
        value={value}
        onChange={(event) => onChange(event.target.value)}
        className={LOOK}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </Labelled>
  );
}

export function CheckField({
  id,
  label,
  hint,
  error,
  checked,
  onChange,
}: Words & { checked: boolean; onChange: (checked: boolean) => void }) {
  return (
    <div>
      <label className="inline-flex min-h-9 items-center gap-2 font-medium">
        <input
          {...described(id, hint, error)}
          id={id}
          type="checkbox"
          checked={checked}
          onChange={(event) => onChange(event.target.checked)}
          className="size-4 accent-accent-fill"
        />
        <span className="break-words">{label}</span>
      </label>
      <Below id={id} hint={hint} error={error} />
    </div>
  );
}

function Labelled({ id, label, hint, error, children }: Words & { children: ReactNode }) {
  return (
    <div>
      <label htmlFor={id} className="mb-1 block break-words font-medium">
        {label}
      </label>
      {children}
      <Below id={id} hint={hint} error={error} />
    </div>
  );
}

function Below({ id, hint, error }: Omit<Words, "label">) {
  return (
    <>
      {error && (
        <p id={`${id}-error`} className="mt-1 break-words text-bad text-xs">
          {error}
        </p>
      )}
      {hint && (
        <p id={`${id}-hint`} className="mt-1 break-words text-muted text-xs">
          {hint}
        </p>
      )}
    </>
  );
}

function described(id: string, hint?: string, error?: string) {
  const by = [error ? `${id}-error` : "", hint ? `${id}-hint` : ""].filter(Boolean).join(" ");
  return { ...(by && { "aria-describedby": by }), ...(error && { "aria-invalid": true }) };
}
