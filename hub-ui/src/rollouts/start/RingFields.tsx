import { X } from "lucide-react";
import { count } from "@/format";
import { t } from "@/texts/rollouts";
import { IconButton } from "@/ui/Button";
import { TextField } from "@/ui/Field";
import type { RingRow } from "./request";

interface Props {
  ring: RingRow;
  number: number;
  wrong: Readonly<Record<string, string>>;
  change: (ring: RingRow) => void;
  remove: () => void;
}

/** Whom a ring is, and for how long it is watched. */
export function RingFields({ ring, number, wrong, change, remove }: Props) {
  const field = (name: "name" | "share" | "tags" | "sites" | "soak", label: string, hint?: string) => (
    <TextField
      id={`ring-${ring.key}.${name}`}
      label={label}
      hint={hint}
      error={wrong[`ring-${ring.key}.${name}`]}
      value={ring[name]}
      onChange={(value) => change({ ...ring, [name]: value })}
      {...((name === "share" || name === "soak") && { inputMode: "decimal" as const })}
    />
  );
  const words = t.rolloutStart;
  return (
    <fieldset className="rounded-lg border border-line px-3 pt-1 pb-3">
      <legend className="px-1 font-medium text-muted text-xs">{words.ring(count(number))}</legend>
      <div className="flex items-start gap-2">
        <div className="grid min-w-0 flex-1 gap-x-4 gap-y-2.5 sm:grid-cols-2">
          {field("name", words.ringName)}
          {field("share", words.share)}
          {field("tags", words.tags, words.commas)}
          {field("sites", words.sites, words.commas)}
          {field("soak", words.soak)}
        </div>
        <IconButton label={words.removeRing(ring.name)} onClick={remove}>
          <X />
        </IconButton>
      </div>
    </fieldset>
  );
}
