import { Link } from "@tanstack/react-router";
import { ArrowRight } from "lucide-react";
import type { ReactNode } from "react";
import type { Lineage } from "@/api/types";
import { count } from "@/format";
import { RolloutState } from "@/rollouts/RolloutState";
import { t } from "@/texts/model";

/** Where a version comes from and where it went, from left to right. */
export function LineagePicture({ lineage }: { lineage: Lineage }) {
  const { version, run, before, contributors, rollouts = [], deployed } = lineage;
  const words = t.lineage.picture;
  const [rollout] = rollouts;
  return (
    <ol aria-label={words.label} className="flex flex-col gap-2 lg:flex-row lg:items-stretch">
      <Step title={words.devices} last={false}>
        <span className="font-semibold text-lg">{count(contributors.length)}</span> {words.contributed}
      </Step>
      <Step title={words.run} last={false}>
        {run ? (
          <Link to="/runs/$id" params={{ id: run.id }} className="text-accent hover:underline">
            {t.lineage.round(run.app, count(version.manifest.round))}
          </Link>
        ) : (
          words.uploaded
        )}
        {before !== null && (
          <p className="text-muted text-xs">
            {words.after}{" "}
            <Link
              to="/models/$name/$version"
              params={{ name: version.model, version: String(before) }}
              className="text-accent hover:underline"
            >
              {t.models.version(before)}
            </Link>
          </p>
        )}
      </Step>
      <Step title={words.version} last={false} main>
        <span className="font-semibold text-lg">{count(version.version)}</span>
        {version.promoted && <p className="text-ok text-xs">{t.model.promoted}</p>}
      </Step>
      <Step title={words.brought} last={false}>
        {rollout ? (
          <Link to="/rollouts/$id" params={{ id: rollout.id }} className="hover:underline">
            <RolloutState status={rollout.status} />
          </Link>
        ) : version.promoted ? (
          words.atOnce
        ) : (
          words.notNow
        )}
      </Step>
      <Step title={words.serves} last>
        <span className="font-semibold text-lg">{count(deployed)}</span> {words.serving}
      </Step>
    </ol>
  );
}

function Step({
  title,
  last,
  main = false,
  children,
}: {
  title: string;
  last: boolean;
  main?: boolean;
  children: ReactNode;
}) {
  return (
    <li className="flex flex-1 flex-col items-center gap-2 lg:flex-row">
      <div
        className={`w-full flex-1 self-stretch rounded-lg border px-4 py-3 shadow-card ${main ? "border-accent bg-accent-soft" : "border-line bg-surface"}`}
      >
        <p className="text-muted text-xs">{title}</p>
        {children}
      </div>
      {!last && <ArrowRight aria-hidden className="size-5 shrink-0 rotate-90 text-muted lg:rotate-0" />}
    </li>
  );
}
