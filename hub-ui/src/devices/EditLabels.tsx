import { useState } from "react";
import type { Device } from "@/api/types";
import { t } from "@/texts/device";
import { TextField } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { label } from "./operations";

/** Site, tags, groups and note of a device. */
export function EditLabels({ device }: { device: Device }) {
  const [site, setSite] = useState(device.site);
  const [tags, setTags] = useState(device.tags.join(", "));
  const [groups, setGroups] = useState(device.groups.join(", "));
  const [note, setNote] = useState(device.note);
  const words = t.device;
  return (
    <FormDialog
      label={words.edit}
      name={words.edit}
      title={words.editTitle(device.name)}
      action={words.save}
      run={() => label(device.id, { site: site.trim(), tags: listOf(tags), groups: listOf(groups), note })}
    >
      <TextField id="site" label={words.site} value={site} onChange={setSite} />
      <TextField id="tags" label={words.tags} hint={words.commas} value={tags} onChange={setTags} />
      <TextField id="groups" label={words.groups} hint={words.commas} value={groups} onChange={setGroups} />
      <TextField id="note" label={words.note} value={note} onChange={setNote} />
    </FormDialog>
  );
}

function listOf(text: string): string[] {
  return text
    .split(",")
    .map((each) => each.trim())
    .filter(Boolean);
}
