import { LogOut, Menu, Monitor, Moon, Sun, X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { session } from "@/session/session";
import { t } from "@/texts";
import { IconButton } from "@/ui/Button";
import { LinkStatus } from "./LinkStatus";
import { Brand, NAVIGATION } from "./Navigation";
import { theme } from "./theme";

const THEME_ICONS = { system: Monitor, light: Sun, dark: Moon };

export function Header({ menuOpen, onMenu }: { menuOpen: boolean; onMenu: () => void }) {
  const user = useSyncExternalStore(session.subscribe, session.get);
  return (
    <header className="flex h-14 items-center gap-1 border-line border-b bg-surface px-4 md:col-start-2 md:bg-transparent md:px-8">
      <Brand className="mr-3 flex md:hidden" />
      <LinkStatus />
      <div className="ml-auto flex min-w-0 items-center gap-0.5">
        {user && (
          <span
            className="hidden truncate px-2 text-muted sm:inline"
            title={t.login.signedInAs(user.username)}
          >
            {user.username}
          </span>
        )}
        <ThemeSwitch />
        <IconButton label={t.login.signOut} onClick={() => void session.signOut()}>
          <LogOut />
        </IconButton>
        <IconButton
          label={menuOpen ? t.nav.close : t.nav.open}
          className="-mr-2 md:hidden"
          aria-expanded={menuOpen}
          aria-controls={NAVIGATION}
          onClick={onMenu}
        >
          {menuOpen ? <X /> : <Menu />}
        </IconButton>
      </div>
    </header>
  );
}

function ThemeSwitch() {
  const chosen = useSyncExternalStore(theme.subscribe, theme.get);
  const Icon = THEME_ICONS[chosen];
  return (
    <IconButton label={`${t.theme.label}: ${t.theme[chosen]}`} onClick={() => theme.next()}>
      <Icon />
    </IconButton>
  );
}
