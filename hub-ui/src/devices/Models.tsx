import { Link } from "@tanstack/react-router";
import type { Device, ServingModel } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { Confirm } from "@/ui/Confirm";
import { type Column, DataTable } from "@/ui/DataTable";
import { Section } from "@/ui/Page";
import { Ago } from "@/ui/Time";
import { ask } from "./operations";

/** What the device serves, and the way back to what it served before; nothing where it serves nothing. */
export function Models({ device }: { device: Device }) {
  const mayOperate = useMay("devices:operate");
  const serving = device.reported?.serving ?? [];
  if (serving.length === 0) return null;
  const columns = mayOperate && device.status !== "revoked" ? [...COLUMNS, goingBack(device)] : COLUMNS;
  return (
    <Section title={t.device.models}>
      <DataTable
        caption={t.device.modelsCaption}
        columns={columns}
        rows={serving}
        rowKey={({ model }) => model}
      />
    </Section>
  );
}

const COLUMNS: readonly Column<ServingModel>[] = [
  {
    id: "model",
    header: t.device.modelColumns.model,
    heading: true,
    cell: ({ model, version }) => (
      <Link
        to="/models/$name/$version"
        params={{ name: model, version: String(version) }}
        className="font-mono text-accent hover:underline"
      >
        {t.devices.serves(model, version)}
      </Link>
    ),
  },
  { id: "since", header: t.device.modelColumns.since, cell: ({ since }) => <Ago at={since} /> },
  {
    id: "url",
    header: t.device.modelColumns.url,
    cell: ({ url }) => <code className="break-all font-mono text-[0.8125rem] text-muted">{url}</code>,
  },
];

function goingBack({ id, name }: Device): Column<ServingModel> {
  return {
    id: "back",
    header: t.device.modelColumns.back,
    align: "right",
    cell: ({ model }) => (
      <Confirm
        label={t.device.goBack}
        name={t.device.goBackName(model)}
        title={t.device.goBackTitle(model, name)}
        text={t.device.goBackText}
        action={t.device.goBackName(model)}
        tone="danger"
        run={() => ask(id, { kind: "rollback", model })}
      />
    ),
  };
}
