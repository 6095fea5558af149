/** The pages that the navigation, the command palette and the keyboard lead to. */
import {
  BellRing,
  Boxes,
  Cpu,
  LayoutDashboard,
  type LucideIcon,
  ScrollText,
  Server,
  SlidersHorizontal,
  UserRound,
  Users,
  Waypoints,
} from "lucide-react";
import type { Permission } from "@/api/types";
import { t } from "@/texts";

export interface PageEntry {
  to:
    | "/"
    | "/devices"
    | "/runs"
    | "/models"
    | "/alerts"
    | "/users"
    | "/audit"
    | "/system"
    | "/settings"
    | "/account";
  label: string;
  icon: LucideIcon;
  /** After `g`. */
  key: string;
  /** Without it the hub would refuse what the page shows. */
  needs: Permission;
}

export const PAGES: readonly PageEntry[] = [
  { to: "/", label: t.nav.overview, icon: LayoutDashboard, key: "o", needs: "devices:read" },
  { to: "/devices", label: t.nav.devices, icon: Cpu, key: "d", needs: "devices:read" },
  { to: "/runs", label: t.nav.runs, icon: Waypoints, key: "r", needs: "runs:read" },
  { to: "/models", label: t.nav.models, icon: Boxes, key: "m", needs: "models:read" },
  { to: "/alerts", label: t.nav.alerts, icon: BellRing, key: "a", needs: "alerts:read" },
];

export const ADMINISTRATION: readonly PageEntry[] = [
  { to: "/users", label: t.nav.users, icon: Users, key: "u", needs: "users:manage" },
  { to: "/audit", label: t.nav.audit, icon: ScrollText, key: "l", needs: "audit:read" },
  { to: "/system", label: t.nav.system, icon: Server, key: "s", needs: "hub:read" },
  { to: "/settings", label: t.nav.settings, icon: SlidersHorizontal, key: "e", needs: "hub:operate" },
];

export const ACCOUNT: PageEntry = {
  to: "/account",
  label: t.nav.account,
  icon: UserRound,
  key: "y",
  needs: "account:manage",
};
