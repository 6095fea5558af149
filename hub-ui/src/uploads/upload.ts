/** Brings a file to the hub, resumable at any byte (tus), each part with its checksum. Loaded when it is needed. */
import { type HttpRequest, Upload as Tus } from "tus-js-client";
import { hub } from "@/api/client";
import { Problem } from "@/api/problem";
import type { Upload } from "@/api/types";
import { session } from "@/session/session";
import { t } from "@/texts";

const ADDRESS = "/api/v1/uploads";
/** Bytes. */
const PART = 4 * 2 ** 20;
/** Milliseconds after which a part that failed is sent again. */
const PAUSES = [0, 1000, 3000, 10_000, 30_000, 60_000];

/** Goes on with what an earlier attempt of this browser has brought there. `tell` hears of the bytes that are there. */
export async function upload(
  file: File,
  tell: (sent: number) => void,
  signal?: AbortSignal,
): Promise<Upload> {
  const sent = new Promise<string>((resolve, reject) => {
    const tus = new Tus(file, {
      endpoint: ADDRESS,
      chunkSize: PART,
      retryDelays: PAUSES,
      metadata: { filename: file.name },
      removeFingerprintOnSuccess: true,
      onBeforeRequest: (request) => signed(request, file),
      onProgress: (bytes) => tell(bytes),
      onSuccess: () => resolve(tus.url?.split("/").at(-1) ?? ""),
      onError: (error) => reject(problemOf(error)),
    });
    signal?.addEventListener("abort", () => void tus.abort());
    void tus.findPreviousUploads().then(([earlier]) => {
      if (earlier) tus.resumeFromPreviousUpload(earlier);
      tus.start();
    });
  });
  const { data } = await hub.GET("/api/v1/uploads/{upload_id}", {
    params: { path: { upload_id: await sent } },
  });
  if (!data) throw new Problem(0, t.problem.unreachable, t.problem.unreachableDetail);
  return data;
}

async function signed(request: HttpRequest, file: File): Promise<void> {
  request.setHeader("Authorization", `Bearer ${await session.token()}`);
  if (request.getMethod() !== "PATCH") return;
  const from = Number(request.getHeader("Upload-Offset") ?? 0);
  const digest = await digestOf(file.slice(from, from + PART));
  if (digest) request.setHeader("Upload-Checksum", `sha256 ${digest}`);
}

/** Browsers compute hashes only on pages that came over TLS, or from this machine. */
async function digestOf(part: Blob): Promise<string> {
  if (!("subtle" in crypto)) return "";
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await part.arrayBuffer()));
  return btoa(String.fromCharCode(...digest));
}

function problemOf(
  error: Error & { originalResponse?: { getStatus(): number; getBody(): string } | null },
): Problem {
  const answer = error.originalResponse;
  if (!answer)
    return new Problem(0, t.problem.unreachable, t.problem.unreachableDetail, t.problem.unreachableHint);
  try {
    const told = JSON.parse(answer.getBody()) as {
      title: string;
      detail: string;
      hint?: string;
      trace_id?: string;
    };
    return new Problem(answer.getStatus(), told.title, told.detail, told.hint, told.trace_id);
  } catch {
    return new Problem(answer.getStatus(), String(answer.getStatus()), t.problem.unknown(answer.getStatus()));
  }
}
