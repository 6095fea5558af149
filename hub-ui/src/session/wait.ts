import { useEffect, useState } from "react";
import { asProblem } from "@/api/problem";

/** Seconds that the hub wants one to wait after this refusal, as they go by; 0 when one may try again. */
export function useWait(error: unknown): number {
  const asked = error ? asProblem(error).retryAfter : 0;
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const until = Date.now() + asked * 1000;
    const look = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    look();
    const timer = window.setInterval(look, 500);
    return () => clearInterval(timer);
  }, [asked]);
  return left;
}
