import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { CirclePause, CircleX } from "lucide-react";
import type { Rollout } from "@/api/types";
import { t } from "@/texts/rollouts";
import { BackLink } from "@/ui/BackLink";
import { Callout } from "@/ui/Callout";
import { Loaded } from "@/ui/Loaded";
import { Page, Section } from "@/ui/Page";
import { Decide } from "./Decide";
import { Gates } from "./Gates";
import { rolloutQuery } from "./queries";
import { RingDevices } from "./RingDevices";
import { Rings } from "./Rings";
import { RolloutFacts } from "./RolloutFacts";
import { RolloutState } from "./RolloutState";
import { Steps } from "./Steps";

export function RolloutPage() {
  const { id } = useParams({ from: "/signed-in/rollouts/$id" });
  const query = useQuery(rolloutQuery(id));
  const rollout = query.data;
  return (
    <Page
      title={rollout ? t.rollout.title(rollout.model, rollout.version) : id}
      above={
        rollout && (
          <BackLink to="/models/$name" params={{ name: rollout.model }}>
            {t.rollout.back(rollout.model)}
          </BackLink>
        )
      }
      aside={rollout && <RolloutState status={rollout.status} />}
      actions={rollout && <Decide rollout={rollout} />}
    >
      <Loaded query={query}>{(shown) => <Detail rollout={shown} />}</Loaded>
    </Page>
  );
}

function Detail({ rollout }: { rollout: Rollout }) {
  return (
    <>
      <div className="space-y-4">
        {rollout.status === "rolled back" && rollout.reason && (
          <Callout tone="bad" icon={CircleX} title={t.rollout.failed}>
            <p>{rollout.reason}</p>
          </Callout>
        )}
        {rollout.status === "halted" && (
          <Callout tone="warn" icon={CirclePause} title={t.rollout.halted}>
            <p>{rollout.reason}</p>
          </Callout>
        )}
        <RolloutFacts rollout={rollout} />
      </div>
      <Section title={t.rollout.rings}>
        <Rings rings={rollout.rings} />
      </Section>
      <Section title={t.rollout.gates}>
        <Gates checks={rollout.checks} />
      </Section>
      <RingDevices rollout={rollout.id} />
      <Section title={t.rollout.steps}>
        <Steps steps={rollout.steps} />
      </Section>
    </>
  );
}
