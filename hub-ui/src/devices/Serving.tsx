import { Fragment } from "react";
import type { Device, LocalParts } from "@/api/types";
import { t } from "@/texts";

/** What the device serves, and where that differs from what the hub wants of it. */
export function Serving({ device }: { device: Device }) {
  const serving = device.reported?.serving ?? [];
  const failures = device.reported?.failures ?? [];
  const told = [...serving, ...failures];
  const wanted = (device.status === "revoked" ? [] : (device.desired.models ?? [])).filter(
    (want) => !told.some((has) => has.model === want.model && has.version === want.version),
  );
  if (serving.length + failures.length + wanted.length === 0)
    return <span className="text-muted">{t.none}</span>;
  return (
    <>
      {serving.map(({ model, version, local }) => (
        <Fragment key={model}>
          <p className="font-mono text-[0.8125rem]">{t.devices.serves(model, version)}</p>
          {local && (
            <p className={`max-w-72 text-xs ${local.served === "refused" ? "text-bad" : "text-muted"}`}>
              {partsText(local)}
            </p>
          )}
        </Fragment>
      ))}
      {wanted.map(({ model, version }) => (
        <p key={model} className="text-muted text-xs">
          {t.devices.wanted(t.devices.serves(model, version))}
        </p>
      ))}
      {failures.map(({ model, version, reason, again }) => (
        <p
          key={`${model}${version}`}
          className={`max-w-72 text-xs md:text-pretty ${again ? "text-muted" : "text-bad"}`}
        >
          {(again ? t.devices.waits : t.devices.refused)(t.devices.serves(model, version), reason)}
        </p>
      ))}
    </>
  );
}

function partsText({ served, round, reason }: LocalParts): string {
  const text = t.devices.parts;
  if (served === "own") return text.own(round);
  return served === "refused" ? text.refused(reason) : text.untrained;
}
