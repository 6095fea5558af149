import { answered, everything, hub, sparse } from "@/api/client";
import type { Alert, AlertSilence, Notice, SilenceRequest } from "@/api/types";
import type { Frame } from "@/live/frame";
import { pushedQuery } from "@/live/query";

function grew(frame: Frame): boolean {
  return frame.topic === "grew" && frame.data.of === "alerts";
}

/** Those that are open, newest first. */
export const openAlertsQuery = pushedQuery<Alert[]>(
  ["alerts", "open"],
  (signal) => everything((query) => hub.GET("/api/v1/alerts", { params: { query }, signal })),
  grew,
);

const SHOWN = 200;

/** The newest, open or not. */
export const alertsQuery = (status: "open" | "resolved" | "all") =>
  pushedQuery<Alert[]>(
    ["alerts", status, "newest"],
    (signal) => answered(hub.GET("/api/v1/alerts", { params: { query: { limit: SHOWN, status } }, signal })),
    grew,
  );

/** Those that are not over. */
export const silencesQuery = pushedQuery<AlertSilence[]>(
  ["alerts", "silences"],
  (signal) => everything((query) => hub.GET("/api/v1/alert-silences", { params: { query }, signal })),
  grew,
);

/** The newest. */
export const noticesQuery = pushedQuery<Notice[]>(
  ["alerts", "notices"],
  (signal) => answered(hub.GET("/api/v1/alerts/notices", { params: { query: { limit: 50 } }, signal })),
  grew,
);

export function acknowledge(id: string): Promise<Alert> {
  return answered(hub.POST("/api/v1/alerts/{alert}/acknowledge", { params: { path: { alert: id } } }));
}

export function silence(body: SilenceRequest): Promise<AlertSilence> {
  return answered(hub.POST("/api/v1/alert-silences", { body: sparse(body) }));
}

export function endSilence(id: string): Promise<AlertSilence> {
  return answered(hub.DELETE("/api/v1/alert-silences/{silence}", { params: { path: { silence: id } } }));
}
