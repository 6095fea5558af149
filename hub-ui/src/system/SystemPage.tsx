import { useQuery } from "@tanstack/react-query";
import { CircleCheck, CircleX } from "lucide-react";
import type { SystemPart, SystemState } from "@/api/types";
import { bytes, count, duration, figure, milliseconds } from "@/format";
import { t } from "@/texts/system";
import { Badge } from "@/ui/Badge";
import { type Column, DataTable } from "@/ui/DataTable";
import { Fact } from "@/ui/Fact";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { systemQuery } from "./queries";

/** How the hub that answers and its parts are. */
export function SystemPage() {
  const query = useQuery(systemQuery);
  return (
    <Page title={t.system.title}>
      <Loaded query={query}>{(state) => <State state={state} />}</Loaded>
    </Page>
  );
}

function State({ state }: { state: SystemState }) {
  const { parts, ingest, room, packages } = state;
  return (
    <>
      <Hub state={state} />
      <Section title={t.system.parts}>
        <DataTable caption={t.system.parts} columns={COLUMNS} rows={parts} rowKey={({ name }) => name} />
      </Section>
      <Section title={t.system.ingest}>
        <Facts>
          <Fact name={t.system.waiting}>
            {t.system.batches(count(ingest.waiting))}
            <p className="text-muted text-xs">{bytes(ingest.waiting_bytes)}</p>
          </Fact>
          <Fact name={t.system.lag}>{milliseconds(ingest.oldest)}</Fact>
          <Fact name={t.system.took}>{milliseconds(ingest.took)}</Fact>
          <Fact name={t.system.events}>{count(ingest.events)}</Fact>
        </Facts>
      </Section>
      <Section title={t.system.disk}>
        <Facts>
          <Fact name={t.system.free}>
            {t.system.freeOf(bytes(room.free), bytes(room.total))}
            <meter
              aria-label={t.system.used}
              className="mt-1 block w-56"
              min={0}
              max={room.total}
              high={room.total * 0.9}
              value={room.total - room.free}
            />
          </Fact>
          <Fact name={t.system.folder}>
            <code className="break-all font-mono text-[0.8125rem]">{room.folder}</code>
          </Fact>
          <Fact name={t.system.database}>{room.database > 0 ? bytes(room.database) : t.none}</Fact>
        </Facts>
      </Section>
      <Section title={t.system.packages}>
        <Facts>
          {Object.entries(packages).map(([name, version]) => (
            <Fact key={name} name={name}>
              {version}
            </Fact>
          ))}
        </Facts>
      </Section>
    </>
  );
}

function Hub({ state }: { state: SystemState }) {
  return (
    <Facts>
      {state.name && <Fact name={t.system.name}>{state.name}</Fact>}
      <Fact name={t.system.version}>{state.version}</Fact>
      <Fact name={t.system.wire}>{state.wire_version}</Fact>
      <Fact name={t.system.started}>
        <Ago at={state.started_at} />
      </Fact>
      <Fact name={t.system.leading}>{state.leading ? t.system.leads : t.system.stands}</Fact>
      <Fact name={t.system.memory}>{bytes(state.memory)}</Fact>
      <Fact name={t.system.cpu}>{duration(state.cpu)}</Fact>
      <Fact name={t.system.load}>{figure(state.load)}</Fact>
      <Fact name={t.system.readers}>{count(state.readers)}</Fact>
    </Facts>
  );
}

function Facts({ children }: { children: React.ReactNode }) {
  return (
    <dl className="flex flex-wrap gap-x-10 gap-y-3 rounded-lg border border-line bg-surface px-4 py-3 shadow-card">
      {children}
    </dl>
  );
}

const COLUMNS: readonly Column<SystemPart>[] = [
  {
    id: "part",
    header: t.system.columns.part,
    heading: true,
    cell: ({ name }) => (
      <>
        <span className="font-medium">{t.system.names[name] ?? name}</span>
        <p className="text-muted text-xs">{t.system.about[name]}</p>
      </>
    ),
  },
  {
    id: "state",
    header: t.system.columns.state,
    cell: ({ missing }) =>
      missing ? (
        <Badge tone="bad" icon={CircleX}>
          {missing}
        </Badge>
      ) : (
        <Badge tone="ok" icon={CircleCheck}>
          {t.system.works}
        </Badge>
      ),
  },
  { id: "version", header: t.system.columns.version, cell: ({ version }) => version || t.none },
];
