import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX, Clock, Download, type LucideIcon, TimerOff } from "lucide-react";
import type { Device, DeviceAction } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { Badge, type Tone } from "@/ui/Badge";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { Ago, ClockTime } from "@/ui/Time";
import { ActionLog } from "./ActionLog";
import { ask } from "./operations";
import { actionsQuery } from "./queries";

const ASKABLE = ["restart", "collect-logs", "doctor"] as const;

/** What the device was asked to do once, how far that is, and what can be asked of it. */
export function Actions({ device }: { device: Device }) {
  const query = useQuery(actionsQuery(device.id));
  const mayOperate = useMay("devices:operate");
  return (
    <Section title={t.device.actions}>
      {mayOperate && device.status !== "revoked" && (
        <div className="mb-3 flex flex-wrap gap-2">
          {ASKABLE.map((kind) => {
            const label = t.device.actionKinds[kind] ?? kind;
            return (
              <Confirm
                key={kind}
                label={label}
                name={label}
                title={t.device.askTitle(label, device.name)}
                text={t.device.askText[kind]}
                action={label}
                run={() => ask(device.id, { kind })}
              />
            );
          })}
        </div>
      )}
      <Loaded query={query}>
        {(actions) =>
          actions.length === 0 ? (
            <p className="text-muted">{t.device.noActions}</p>
          ) : (
            <DataTable
              caption={t.device.actionsCaption}
              columns={COLUMNS}
              rows={actions}
              rowKey={(action) => action.id}
            />
          )
        }
      </Loaded>
    </Section>
  );
}

const LOOKS: Record<DeviceAction["state"], { tone: Tone; icon: LucideIcon }> = {
  queued: { tone: "muted", icon: Clock },
  delivered: { tone: "accent", icon: Download },
  done: { tone: "ok", icon: CircleCheck },
  failed: { tone: "bad", icon: CircleX },
  expired: { tone: "muted", icon: TimerOff },
};

const COLUMNS: readonly Column<DeviceAction>[] = [
  {
    id: "action",
    header: t.device.actionColumns.action,
    heading: true,
    cell: ({ kind, model, id }) => (
      <>
        <span className="font-medium">
          {t.device.actionKinds[kind] ?? kind} {model}
        </span>
        <p className="font-mono text-muted text-xs">{id}</p>
      </>
    ),
  },
  {
    id: "state",
    header: t.device.actionColumns.state,
    cell: ({ state, ended_at, expires_at }) => (
      <>
        <Badge {...LOOKS[state]}>{t.device.actionStates[state]}</Badge>
        <p className="text-muted text-xs md:ml-5.5">
          {ended_at == null ? (
            <>
              {t.device.until} <ClockTime at={expires_at} />
            </>
          ) : (
            <Ago at={ended_at} />
          )}
        </p>
      </>
    ),
  },
  {
    id: "asked",
    header: t.device.actionColumns.asked,
    cell: ({ asked_by, asked_at }) => (
      <>
        {t.device.by(asked_by)} <Ago at={asked_at} />
      </>
    ),
  },
  {
    id: "result",
    header: t.device.actionColumns.result,
    cell: (action) => (
      <>
        <p className="line-clamp-4 max-w-120 whitespace-pre-line break-words text-muted">{action.text}</p>
        {(action.log_size ?? 0) > 0 && <ActionLog action={action} />}
      </>
    ),
  },
];
