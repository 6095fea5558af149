import { useSyncExternalStore } from "react";
import { link } from "@/live/link";
import { t } from "@/texts";

const LOOKS = {
  connecting: {
    dot: "bg-transparent border-edge animate-pulse-soft",
    text: "text-muted",
    hint: t.link.connectingHint,
  },
  live: { dot: "bg-ok border-ok", text: "text-muted", hint: t.link.liveHint },
  waiting: {
    dot: "bg-transparent border-warn animate-pulse-soft",
    text: "text-warn",
    hint: t.link.waitingHint,
  },
};

/** Whether what is on screen follows the hub right now. */
export function LinkStatus() {
  const state = useSyncExternalStore(link.onState, () => link.state);
  const look = LOOKS[state];
  return (
    <p
      role="status"
      aria-label={t.link.label}
      title={look.hint}
      className={`flex min-w-0 items-center gap-2 ${look.text}`}
    >
      <span aria-hidden className={`size-2.5 shrink-0 rounded-full border-2 ${look.dot}`} />
      <span className="truncate">{t.link[state]}</span>
    </p>
  );
}
