import { Popover } from "@base-ui/react/popover";
import { Bookmark, X } from "lucide-react";
import { type FormEvent, useState } from "react";
import { t } from "@/texts";
import { Button, buttonLook, IconButton } from "@/ui/Button";
import { type DeviceFilter, deviceFilter, isFiltered } from "./filter";
import { useDeviceFilter } from "./use-filter";

const KEY = "flip.device-views";
/** Views of one browser. */
const MOST = 20;

type Views = Record<string, DeviceFilter>;

/** Filters under a name, kept by this browser; whoever shall have one too is sent the page's address. */
export function SavedViews() {
  const [filter, setFilter] = useDeviceFilter();
  const [views, setViews] = useState(read);
  const [open, setOpen] = useState(false);
  const names = Object.keys(views).sort();
  const keep = (after: Views) => {
    localStorage.setItem(KEY, JSON.stringify(after));
    setViews(after);
  };
  const save = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const name = String(new FormData(event.currentTarget).get("name")).trim();
    if (name) keep({ ...views, [name]: filter });
    setOpen(false);
  };
  const forget = (name: string) =>
    keep(Object.fromEntries(Object.entries(views).filter(([key]) => key !== name)));
  if (names.length === 0 && !isFiltered(filter)) return null;
  return (
    <Popover.Root open={open} onOpenChange={setOpen}>
      <Popover.Trigger className={`${buttonLook("plain")} h-9`}>
        <Bookmark aria-hidden className="size-4" />
        {t.devices.views.title}
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Positioner sideOffset={6} align="start" className="z-40">
          <Popover.Popup
            aria-label={t.devices.views.title}
            className="w-72 space-y-3 rounded-lg border border-line bg-surface p-3 shadow-dialog"
          >
            {names.length > 0 && (
              <ul className="space-y-0.5">
                {names.map((name) => (
                  <li key={name} className="flex items-center">
                    <button
                      type="button"
                      className="min-w-0 flex-1 truncate rounded-md px-2 py-1.5 text-left hover:bg-raised"
                      onClick={() => {
                        setFilter(views[name] ?? {});
                        setOpen(false);
                      }}
                    >
                      {name}
                    </button>
                    <IconButton label={t.devices.views.forget(name)} onClick={() => forget(name)}>
                      <X />
                    </IconButton>
                  </li>
                ))}
              </ul>
            )}
            {isFiltered(filter) && names.length < MOST && (
              <form onSubmit={save} className="flex gap-2">
                <input
                  name="name"
                  required
                  maxLength={40}
                  aria-label={t.devices.views.name}
                  placeholder={t.devices.views.name}
                  className="h-9 min-w-0 flex-1 rounded-md border border-edge bg-surface px-2.5"
                />
                <Button type="submit">{t.devices.views.save}</Button>
              </form>
            )}
          </Popover.Popup>
        </Popover.Positioner>
      </Popover.Portal>
    </Popover.Root>
  );
}

/** What another version, or somebody by hand, has put there is taken as far as it is a filter. */
function read(): Views {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    return Object.fromEntries(
      Object.entries(kept as Record<string, Record<string, unknown>>).map(([name, search]) => [
        name,
        deviceFilter(search),
      ]),
    );
  } catch {
    return {};
  }
}
