import { Dialog } from "@base-ui/react/dialog";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, useState } from "react";
import { theme } from "@/app/theme";
import { fleetQuery } from "@/devices/fleet";
import { modelsQuery } from "@/models/queries";
import { runsQuery } from "@/runs/queries";
import { usePermissions } from "@/session/may";
import { session } from "@/session/session";
import { t } from "@/texts";
import { nextLanguage } from "@/texts/language";
import { BACKDROP } from "@/ui/popup";
import { type Found, find } from "./commands";

interface Props {
  close: () => void;
  openHelp: () => void;
}

/** Type a name, press Enter: a page, a device, a run, a model, or something to do. */
export function Palette({ close, openHelp }: Props) {
  const [typed, type] = useState("");
  const [at, move] = useState(0);
  const permissions = usePermissions();
  const { data: fleet } = useQuery(fleetQuery);
  const { data: runs = [] } = useQuery(runsQuery);
  const { data: models = [] } = useQuery(modelsQuery);
  const found = find(typed, { permissions, devices: fleet?.values() ?? [], runs, models });
  const open = useOpen({ close, openHelp });
  const press = (event: KeyboardEvent) => {
    const chosen = found[at];
    if (event.key === "ArrowDown") move(Math.min(at + 1, found.length - 1));
    else if (event.key === "ArrowUp") move(Math.max(at - 1, 0));
    else if (event.key === "Enter" && chosen) open(chosen);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog.Root open onOpenChange={(stays) => !stays && close()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          aria-label={t.palette.title}
          className="-translate-x-1/2 fixed top-[12dvh] left-1/2 z-50 w-[min(36rem,calc(100vw-2rem))] overflow-hidden rounded-xl border border-line bg-surface shadow-dialog"
        >
          <input
            role="combobox"
            aria-label={t.palette.title}
            aria-expanded={found.length > 0}
            aria-controls="palette"
            aria-activedescendant={found[at] ? `palette-${at}` : undefined}
            // biome-ignore lint/a11y/noAutofocus: a dialog that was opened to type into
            autoFocus
            value={typed}
            placeholder={t.palette.hint}
            onChange={(event) => {
              type(event.target.value);
              move(0);
            }}
            onKeyDown={press}
            className="h-12 w-full border-line border-b bg-surface px-4 text-base outline-none placeholder:text-muted"
          />
          <div
            id="palette"
            role="listbox"
            aria-label={t.palette.found}
            className="max-h-[60dvh] overflow-y-auto p-1.5"
          >
            {found.map((each, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys
              <div
                key={each.key}
                id={`palette-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === at}
                ref={(element) => {
                  if (index === at) element?.scrollIntoView({ block: "nearest" });
                }}
                onClick={() => open(each)}
                onPointerMove={() => move(index)}
                className="flex cursor-pointer items-baseline gap-3 rounded-md px-3 py-2 aria-selected:bg-accent-soft"
              >
                <span className="min-w-0 truncate">{each.label}</span>
                <span className="ml-auto shrink-0 text-muted text-xs">{each.kind}</span>
              </div>
            ))}
            {found.length === 0 && <p className="px-3 py-2 text-muted">{t.palette.nothing}</p>}
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}

function useOpen({ close, openHelp }: Props): (found: Found) => void {
  const navigate = useNavigate();
  return ({ target }) => {
    close();
    if ("device" in target) void navigate({ to: "/devices/$id", params: { id: target.device } });
    else if ("run" in target) void navigate({ to: "/runs/$id", params: { id: target.run } });
    else if ("model" in target) void navigate({ to: "/models/$name", params: { name: target.model } });
    else if ("to" in target) void navigate({ href: target.to });
    else if (target.act === "theme") theme.next();
    else if (target.act === "language") nextLanguage();
    else if (target.act === "shortcuts") openHelp();
    else void session.signOut();
  };
}
