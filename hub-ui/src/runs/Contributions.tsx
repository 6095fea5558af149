import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import type { Contribution, Device } from "@/api/types";
import { devicesQuery } from "@/devices/queries";
import { bytes, count } from "@/format";
import { t } from "@/texts";
import { type Column, DataTable } from "@/ui/DataTable";
import { Loaded } from "@/ui/Loaded";
import { Section } from "@/ui/Page";
import { contributionsQuery } from "./queries";

/** What became of the newest contributions, as their devices have signed them; nothing before the first. */
export function Contributions({ runId }: { runId: string }) {
  const query = useQuery(contributionsQuery(runId));
  const { data: devices } = useQuery(devicesQuery);
  return (
    <Loaded query={query} silent>
      {(contributions) =>
        contributions.length > 0 && (
          <Section title={t.run.contributions}>
            <DataTable
              caption={t.run.contributionsCaption}
              columns={columns(devices ?? [])}
              rows={contributions}
              rowKey={(each) => each.message_id}
            />
          </Section>
        )
      }
    </Loaded>
  );
}

function columns(devices: Device[]): Column<Contribution>[] {
  const names = new Map(devices.map((device) => [device.id, device.name]));
  const words = t.run.contributionColumns;
  return [
    {
      id: "device",
      header: words.device,
      heading: true,
      cell: ({ device_id }) => (
        <Link
          to="/devices/$id"
          params={{ id: device_id }}
          className="break-words font-medium text-accent hover:underline"
        >
          {names.get(device_id) ?? device_id}
        </Link>
      ),
    },
    {
      id: "round",
      header: t.run.columns.round,
      cell: ({ round, phase }) =>
        phase === "train" || phase === "evaluate"
          ? t.run.roundPhase(count(round), t.run.phases[phase])
          : count(round),
    },
    {
      id: "fate",
      header: words.fate,
      cell: ({ fate, round, taken }) =>
        taken > round ? t.run.countedIn(count(taken)) : t.run.receiptFates[fate],
    },
    {
      id: "share",
      header: words.share,
      align: "right",
      cell: ({ share }) => (share === null ? <span className="text-muted">{t.none}</span> : percent(share)),
    },
    {
      id: "sent",
      header: words.sent,
      align: "right",
      cell: ({ size, received_at }) =>
        received_at === null ? <span className="text-muted">{t.none}</span> : bytes(size),
    },
    {
      id: "signed",
      header: words.signed,
      cell: ({ signed, entry }) => (
        <span className="whitespace-nowrap">
          {signed ? t.run.signed(entry ? count(entry) : "") : t.run.unsigned}
        </span>
      ),
    },
    {
      id: "why",
      header: words.why,
      cell: ({ reason }) => <span className="break-words text-muted">{reason}</span>,
    },
  ];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}\u00a0%`;
}
