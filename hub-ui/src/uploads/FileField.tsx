import { bytes } from "@/format";
import { t } from "@/texts";

interface Props {
  id: string;
  label: string;
  hint?: string;
  accept: string;
  required?: boolean;
  file: File | null;
  onFile: (file: File | null) => void;
  /** Bytes that are at the hub; none before it is sent. */
  sent?: number | undefined;
}

/** A file to send, and how much of it is there. */
export function FileField({ id, label, hint, accept, required = false, file, onFile, sent }: Props) {
  return (
    <div>
      <label htmlFor={id} className="mb-1 block font-medium">
        {label}
      </label>
      <input
        id={id}
        type="file"
        accept={accept}
        required={required}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onFile(event.target.files?.[0] ?? null)}
        className="block w-full rounded-md border border-edge bg-surface text-sm file:mr-3 file:border-0 file:bg-raised file:px-3 file:py-2"
      />
      {hint && (
        <p id={`${id}-hint`} className="mt-1 text-muted text-xs">
          {hint}
        </p>
      )}
      {file && sent !== undefined && (
        <div className="mt-1.5" role="status">
          <progress aria-label={label} className="w-full" value={sent} max={file.size} />
          <p className="text-muted text-xs">{t.sent(bytes(sent), bytes(file.size))}</p>
        </div>
      )}
    </div>
  );
}
