import { Dialog } from "@base-ui/react/dialog";
import { ACCOUNT, ADMINISTRATION, PAGES } from "@/app/pages";
import { usePermissions } from "@/session/may";
import { t } from "@/texts";
import { buttonLook } from "@/ui/Button";
import { BACKDROP, POPUP } from "@/ui/popup";

/** What the keyboard does. */
export function Help({ close }: { close: () => void }) {
  const permissions = usePermissions();
  const pages = [...PAGES, ...ADMINISTRATION, ACCOUNT].filter(({ needs }) => permissions.includes(needs));
  const keys: [string[], string][] = [
    [["Ctrl", "K"], t.palette.title],
    [["/"], t.palette.search],
    [["?"], t.palette.shortcuts],
    ...pages.map(({ key, label }): [string[], string] => [["g", key], label]),
  ];
  return (
    <Dialog.Root open onOpenChange={(stays) => !stays && close()}>
      <Dialog.Portal>
        <Dialog.Backdrop className={BACKDROP} />
        <Dialog.Popup
          className={`${POPUP} max-h-[calc(100dvh-2rem)] w-[min(28rem,calc(100vw-2rem))] overflow-y-auto`}
        >
          <Dialog.Title className="mb-3 font-semibold text-base">{t.palette.shortcuts}</Dialog.Title>
          <dl className="space-y-1.5">
            {keys.map(([pressed, does]) => (
              <div key={does} className="flex items-center justify-between gap-4">
                <dt>{does}</dt>
                <dd className="flex gap-1">
                  {pressed.map((key) => (
                    <kbd
                      key={key}
                      className="rounded-sm border border-line bg-raised px-1.5 py-0.5 font-mono text-xs"
                    >
                      {key}
                    </kbd>
                  ))}
                </dd>
              </div>
            ))}
          </dl>
          <div className="mt-4 flex justify-end">
            <Dialog.Close className={buttonLook("plain")}>{t.close}</Dialog.Close>
          </div>
        </Dialog.Popup>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
