import { Check, Copy } from "lucide-react";
import { useState } from "react";
import { t } from "@/texts";
import { IconButton } from "./Button";

/** A command to copy. */
export function Command({ where, text }: { where: string; text: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
  };
  return (
    <figure className="text-left">
      <figcaption className="mb-1 text-muted text-xs">{where}</figcaption>
      <div className="flex items-center gap-1 rounded-md border border-line bg-raised py-0.5 pr-0.5 pl-3">
        <code className="min-w-0 flex-1 break-words font-mono text-[0.8125rem]">{text}</code>
        <IconButton label={copied ? t.copied : t.copy} onClick={() => void copy()}>
          {copied ? <Check /> : <Copy />}
        </IconButton>
      </div>
    </figure>
  );
}
