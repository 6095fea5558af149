import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Problem } from "@/api/problem";
import { t } from "@/texts/model";
import { TextField } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { FileField } from "@/uploads/FileField";
import { type Described, register } from "./queries";

type Part = "weights" | "graph";

/** A version that was made elsewhere: its weights, its graph, and what describes them. */
export function UploadVersion({ model }: { model?: string }) {
  const navigate = useNavigate();
  const [name, setName] = useState(model ?? "");
  const [files, setFiles] = useState<Record<Part, File | null>>({ weights: null, graph: null });
  const [description, describe] = useState<File | null>(null);
  const [sent, setSent] = useState<Partial<Record<Part, number>>>({});
  const send = async (part: Part) => {
    const file = files[part];
    if (!file) return undefined;
    const { upload } = await import("@/uploads/upload");
    return (await upload(file, (bytes) => setSent((before) => ({ ...before, [part]: bytes })))).id;
  };
  const run = async () => {
    const described = await descriptionOf(description); // before anything is sent
    const weights = await send("weights");
    const graph = await send("graph");
    const made = await register(name.trim(), {
      ...described,
      weights: weights ?? "",
      ...(graph && { graph }),
    });
    await navigate({
      to: "/models/$name/$version",
      params: { name: made.model, version: String(made.version) },
    });
  };
  const words = t.model.upload;
  return (
    <FormDialog
      label={words.action}
      name={words.action}
      title={words.action}
      text={words.text}
      action={words.send}
      ready={name.trim() !== "" && files.weights !== null}
      run={run}
    >
      <TextField
        id="upload-name"
        label={words.name}
        hint={words.nameHint}
        value={name}
        onChange={setName}
        required
      />
      <FileField
        id="upload-weights"
        label={words.weights}
        accept=".safetensors"
        required
        file={files.weights}
        onFile={(weights) => setFiles({ ...files, weights })}
        sent={sent.weights}
      />
      <FileField
        id="upload-graph"
        label={words.graph}
        hint={words.graphHint}
        accept=".onnx"
        file={files.graph}
        onFile={(graph) => setFiles({ ...files, graph })}
        sent={sent.graph}
      />
      <FileField
        id="upload-description"
        label={words.description}
        hint={words.descriptionHint}
        accept=".json,application/json"
        file={description}
        onFile={describe}
      />
    </FormDialog>
  );
}

async function descriptionOf(file: File | null): Promise<Described> {
  if (!file) return {};
  try {
    return JSON.parse(await file.text()) as Described; // the hub checks it, and names what is wrong
  } catch (error) {
    throw new Problem(400, t.model.upload.noJson(file.name), String(error));
  }
}
