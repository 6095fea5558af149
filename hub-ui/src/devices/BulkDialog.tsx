import { AlertDialog } from "@base-ui/react/alert-dialog";
import { type FormEvent, useState } from "react";
import type { DeviceBrief } from "@/api/types";
import { count } from "@/format";
import { t } from "@/texts";
import { Button, buttonLook } from "@/ui/Button";
import { TextField } from "@/ui/Field";
import { BACKDROP, POPUP } from "@/ui/popup";
import { forEachOf, type Progress } from "./bulk";
import { ask, label, revoke } from "./operations";

export type Operation = "tag" | "untag" | "site" | "restart" | "collect-logs" | "doctor" | "revoke";

/** Of those that need a word: which, and the word itself is asked for. */
const ASKING: Partial<Record<Operation, string>> = {
  tag: t.devices.bulk.tag,
  untag: t.devices.bulk.tag,
  site: t.devices.bulk.site,
};
/** So many are named; of the rest their number. */
const NAMED = 5;

interface Props {
  operation: Operation;
  devices: readonly DeviceBrief[];
  close: () => void;
}

/** Asks before it acts, shows how far it is, and in the end what was refused and why. */
export function BulkDialog({ operation, devices, close }: Props) {
  const [given, give] = useState("");
  const [progress, tell] = useState<Progress | null>(null);
  const [over, setOver] = useState(false);
  const asking = ASKING[operation];
  const title = t.devices.bulk.title[operation](count(devices.length));
  // revoking is for good: whoever does it to many says how many
  const confirmed = operation !== "revoke" || devices.length === 1 || given === String(devices.length);
  const start = async (event: FormEvent) => {
    event.preventDefault();
    const briefs = new Map(devices.map((device) => [device.id, device]));
    tell({ total: devices.length, done: 0, refused: new Map() });
    await forEachOf([...briefs.keys()], (id) => doing(operation, briefs.get(id), id, given.trim()), tell);
    setOver(true);
  };
  return (
    <AlertDialog.Root open onOpenChange={(open) => !open && (progress === null || over) && close()}>
      <AlertDialog.Portal>
        <AlertDialog.Backdrop className={BACKDROP} />
        <AlertDialog.Popup
          className={`${POPUP} max-h-[90dvh] w-[min(30rem,calc(100vw-2rem))] overflow-y-auto`}
        >
          <form onSubmit={(event) => void start(event)} className="space-y-4">
            <div>
              <AlertDialog.Title className="font-semibold text-base">{title}</AlertDialog.Title>
              <AlertDialog.Description className="mt-1.5 break-words text-muted">
                {namesOf(devices)}
              </AlertDialog.Description>
            </div>
            {progress ? (
              <Told progress={progress} devices={devices} />
            ) : (
              <>
                <p>{t.devices.bulk.text[operation]}</p>
                {asking && <TextField id="bulk-word" label={asking} value={given} onChange={give} required />}
                {operation === "revoke" && devices.length > 1 && (
                  <TextField
                    id="bulk-count"
                    label={t.devices.bulk.revokeCount(count(devices.length))}
                    value={given}
                    onChange={give}
                    inputMode="numeric"
                  />
                )}
              </>
            )}
            <div className="flex flex-wrap justify-end gap-2">
              {progress && !over ? (
                <span className="text-muted">{t.devices.bulk.working}</span>
              ) : over ? (
                <Button tone="main" onClick={close}>
                  {t.close}
                </Button>
              ) : (
                <>
                  <AlertDialog.Close className={buttonLook("plain")}>{t.cancel}</AlertDialog.Close>
                  <Button
                    type="submit"
                    tone={operation === "revoke" ? "danger" : "main"}
                    disabled={!confirmed}
                  >
                    {title}
                  </Button>
                </>
              )}
            </div>
          </form>
        </AlertDialog.Popup>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}

function Told({
  progress: { total, done, refused },
  devices,
}: {
  progress: Progress;
  devices: readonly DeviceBrief[];
}) {
  const names = new Map(devices.map(({ id, name }) => [id, name]));
  const behind = done + [...refused.values()].reduce((sum, ids) => sum + ids.length, 0);
  return (
    <div className="space-y-3" role="status">
      <progress aria-label={t.devices.bulk.progress} className="w-full" value={behind} max={total} />
      <p>{t.devices.bulk.done(count(done), count(total))}</p>
      {[...refused].map(([why, ids]) => (
        <div key={why} className="text-bad">
          <p className="break-words">{why}</p>
          <p className="break-words text-muted text-xs">{listed(ids.map((id) => names.get(id) ?? id))}</p>
        </div>
      ))}
    </div>
  );
}

function doing(
  operation: Operation,
  device: DeviceBrief | undefined,
  id: string,
  given: string,
): Promise<unknown> {
  const tags = device?.tags ?? [];
  switch (operation) {
    case "tag":
      return label(id, { tags: [...new Set([...tags, given])] });
    case "untag":
      return label(id, { tags: tags.filter((tag) => tag !== given) });
    case "site":
      return label(id, { site: given });
    case "revoke":
      return revoke(id);
    default:
      return ask(id, { kind: operation });
  }
}

function namesOf(devices: readonly DeviceBrief[]): string {
  return listed(devices.map(({ name }) => name));
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more <= 0 ? names.join(", ") : t.devices.bulk.andMore(names.slice(0, NAMED).join(", "), count(more));
}
