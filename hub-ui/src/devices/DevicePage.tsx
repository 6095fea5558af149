import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import type { Device } from "@/api/types";
import { useMay } from "@/session/may";
import { t } from "@/texts/device";
import { BackLink } from "@/ui/BackLink";
import { Confirm } from "@/ui/Confirm";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { Actions } from "./Actions";
import { Clone } from "./Clone";
import { Conditions } from "./Conditions";
import { Contributions } from "./Contributions";
import { DeviceFacts } from "./DeviceFacts";
import { Differences } from "./Differences";
import { EditLabels } from "./EditLabels";
import { Events } from "./Events";
import { Gaps } from "./Gaps";
import { Inference } from "./Inference";
import { LiveLogs } from "./LiveLogs";
import { Models } from "./Models";
import { revoke } from "./operations";
import { deviceQuery } from "./queries";
import { Vitals } from "./vitals/Vitals";

export function DevicePage() {
  const { id } = useParams({ from: "/signed-in/devices/$id" });
  const query = useQuery(deviceQuery(id));
  const mayOperate = useMay("devices:operate");
  return (
    <Page
      title={query.data?.name ?? id}
      above={<BackLink to="/devices">{t.back.devices}</BackLink>}
      actions={
        mayOperate && query.data && query.data.status !== "revoked" && <Operations device={query.data} />
      }
    >
      <Loaded query={query}>{(device) => <Account key={device.id} device={device} />}</Loaded>
    </Page>
  );
}

function Operations({ device }: { device: Device }) {
  const { id, name } = device;
  return (
    <>
      <EditLabels
        key={JSON.stringify([device.site, device.tags, device.groups, device.note])}
        device={device}
      />
      <Confirm
        label={t.device.revoke}
        name={t.device.revokeName(name)}
        title={t.device.revokeTitle(name)}
        text={t.device.revokeText}
        action={t.device.revokeName(name)}
        tone="danger"
        run={() => revoke(id)}
      />
    </>
  );
}

/** What it last said of itself; of a silent device the state says since when that is old. */
function Account({ device }: { device: Device }) {
  return (
    <>
      <div className="space-y-4">
        <DeviceFacts device={device} />
        <Clone device={device} />
        <Conditions device={device} />
      </div>
      <Differences device={device} />
      <Vitals id={device.id} />
      <Models device={device} />
      <Inference device={device} />
      <Actions device={device} />
      <LiveLogs device={device} />
      <Contributions id={device.id} />
      <Gaps id={device.id} />
      <Events id={device.id} />
    </>
  );
}
