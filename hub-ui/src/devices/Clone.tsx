import { TriangleAlert } from "lucide-react";
import type { Device } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { Callout } from "@/ui/Callout";
import { Confirm } from "@/ui/Confirm";
import { Ago } from "@/ui/Time";
import { clearClone } from "./operations";

/** Two agents live with one key: said until one of them was stopped. */
export function Clone({ device: { id, clone } }: { device: Device }) {
  const mayOperate = useMay("devices:operate");
  if (!clone) return null;
  return (
    <Callout tone="bad" icon={TriangleAlert} title={t.device.clone}>
      <p>{t.device.cloneText}</p>
      <ul className="mt-1 text-muted text-xs">
        {clone.lives.map((life) => (
          <li key={life.id}>
            {life.address} <Ago at={life.heard} />
          </li>
        ))}
      </ul>
      {mayOperate && (
        <div className="mt-2">
          <Confirm
            label={t.device.cloneClear}
            name={t.device.cloneClear}
            title={t.device.cloneTitle}
            text={t.device.cloneText}
            action={t.device.cloneClear}
            run={() => clearClone(id)}
          />
        </div>
      )}
    </Callout>
  );
}
