import { Link } from "@tanstack/react-router";
import { t } from "@/texts";
import { buttonLook } from "@/ui/Button";
import { Page } from "@/ui/Page";

export function NotFound() {
  return (
    <Page title={t.notFound.title}>
      <p className="mb-4 text-muted">{t.notFound.text}</p>
      <Link to="/" className={buttonLook("plain")}>
        {t.nav.overview}
      </Link>
    </Page>
  );
}
