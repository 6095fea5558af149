export const ALERT_STATUSES = ["open", "resolved", "all"] as const;
export type AlertStatus = (typeof ALERT_STATUSES)[number];

/** Of the page's address. */
export function alertSearch(search: Record<string, unknown>): { status?: AlertStatus } {
  const status = ALERT_STATUSES.find((known) => known === search.status);
  return status ? { status } : {};
}
