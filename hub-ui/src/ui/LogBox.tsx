import { useEffect, useRef } from "react";

/** Lines of a log, the newest in view unless somebody has scrolled up. */
export function LogBox({ label, lines, empty }: { label: string; lines: readonly string[]; empty: string }) {
  const box = useRef<HTMLPreElement>(null);
  const atEnd = useRef(true);
  const text = lines.join("\n").trimEnd();
  useEffect(() => {
    if (box.current && atEnd.current && text) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return (
    <pre
      ref={box}
      role="log"
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: so that a keyboard can scroll it
      tabIndex={0}
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
      }}
      className="max-h-96 overflow-auto whitespace-pre-wrap break-words rounded-md border border-line bg-raised p-3 font-mono text-xs"
    >
      {text || empty}
    </pre>
  );
}
