import { useQuery } from "@tanstack/react-query";
import { Waypoints } from "lucide-react";
import type { App } from "@/api/types";
import { useMay } from "@/session/may";
import { Needs } from "@/session/Needs";
import { t } from "@/texts/start";
import { BackLink } from "@/ui/BackLink";
import { Command } from "@/ui/Command";
import { Empty } from "@/ui/Empty";
import { Loaded } from "@/ui/Loaded";
import { Page } from "@/ui/Page";
import { appsQuery } from "./queries";
import { StartForm } from "./StartForm";
import { UploadApp } from "./UploadApp";

export function StartPage() {
  const query = useQuery(appsQuery);
  const mayUpload = useMay("runs:operate");
  return (
    <Page
      title={t.start.title}
      above={<BackLink to="/runs">{t.back.runs}</BackLink>}
      actions={mayUpload && <UploadApp />}
    >
      <Needs permission="runs:operate">
        <Loaded query={query}>
          {(apps: App[]) =>
            apps.length === 0 ? (
              <Empty icon={Waypoints} title={t.start.noApps} text={t.start.noAppsText}>
                <Command where={t.runs.empty.onHub} text="flip-hub runs start examples/digits" />
              </Empty>
            ) : (
              <StartForm apps={apps} />
            )
          }
        </Loaded>
      </Needs>
    </Page>
  );
}
