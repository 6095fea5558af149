import { useState } from "react";
import { queryClient } from "@/app/query-client";
import { t } from "@/texts/start";
import { FormDialog } from "@/ui/FormDialog";
import { FileField } from "@/uploads/FileField";
import { appsQuery, takeUploadedApp } from "./queries";

/** An app as `flwr build` packs it: from now on runs of it can be started here. */
export function UploadApp() {
  const [file, setFile] = useState<File | null>(null);
  const [sent, setSent] = useState<number>();
  return (
    <FormDialog
      label={t.start.upload}
      name={t.start.upload}
      title={t.start.upload}
      text={t.start.uploadText}
      action={t.start.upload}
      ready={file !== null}
      run={async () => {
        if (!file) return;
        const { upload } = await import("@/uploads/upload");
        const { id } = await upload(file, setSent);
        await takeUploadedApp(id);
        setSent(undefined);
        await queryClient.invalidateQueries({ queryKey: appsQuery.queryKey });
      }}
    >
      <FileField
        id="app"
        label={t.start.file}
        accept=".fab"
        required
        file={file}
        onFile={setFile}
        sent={sent}
      />
    </FormDialog>
  );
}
