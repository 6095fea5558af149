import { t } from "@/texts";
import { Page } from "@/ui/Page";

export function NotFound() {
  return (
    <Page title={t.notFound.title}>
      <p className="text-muted">{t.notFound.text}</p>
    </Page>
  );
}
