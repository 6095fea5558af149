import { Link } from "@tanstack/react-router";
import { LogOut, Menu, Monitor, Moon, Search, Sun, X } from "lucide-react";
import { useSyncExternalStore } from "react";
import { session } from "@/session/session";
import { t } from "@/texts";
import { LANGUAGES, language, nextLanguage } from "@/texts/language";
import { IconButton } from "@/ui/Button";
import { LinkStatus } from "./LinkStatus";
import { Brand, NAVIGATION } from "./Navigation";
import { theme } from "./theme";

const THEME_ICONS = { system: Monitor, light: Sun, dark: Moon };

interface Props {
  menuOpen: boolean;
  onMenu: () => void;
  onPalette: () => void;
}

export function Header({ menuOpen, onMenu, onPalette }: Props) {
  const user = useSyncExternalStore(session.subscribe, session.get);
  return (
    <header className="flex h-14 items-center gap-1 border-line border-b bg-surface px-4 md:col-start-2 md:bg-transparent md:px-8">
      <Brand className="mr-3 flex md:hidden" />
      <LinkStatus />
      <div className="ml-auto flex shrink-0 items-center gap-0.5">
        {user && (
          <Link
            to="/account"
            className="hidden max-w-48 truncate rounded-md px-2 py-1.5 text-muted hover:bg-raised hover:text-ink sm:inline"
            title={t.login.signedInAs(user.username)}
          >
            {user.username}
          </Link>
        )}
        <IconButton label={t.palette.title} onClick={onPalette}>
          <Search />
        </IconButton>
        <LanguageSwitch />
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

/** Shows the language that is spoken; pressed, the console begins anew in the next one. */
function LanguageSwitch() {
  return (
    <IconButton label={`${t.palette.language}: ${LANGUAGES[language]}`} onClick={nextLanguage}>
      <span className="font-semibold text-xs uppercase">{language}</span>
    </IconButton>
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
