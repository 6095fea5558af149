import { duration } from "@/format";
import { useNow } from "@/ui/Time";

/** From then to then, or until now. */
export function Took({ from, to }: { from: number; to: number | null }) {
  const now = useNow();
  return <span className="whitespace-nowrap">{duration((to ?? Math.max(now, from)) - from)}</span>;
}
