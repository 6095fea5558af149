/** The console's pages: one line each, loaded when first visited. */
import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { alertSearch } from "@/alerts/status";
import { auditSearch } from "@/audit/queries";
import { deviceFilter } from "@/devices/filter";
import { compareSearch } from "@/runs/compare/search";
import { session } from "@/session/session";
import { Problems } from "@/ui/Problems";
import { NotFound } from "./NotFound";
import { Shell } from "./Shell";

const root = createRootRoute();

const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  validateSearch: (search): { next?: string } => (isOwnPath(search.next) ? { next: search.next } : {}),
  beforeLoad: ({ search }) => {
    if (session.get()) throw redirect({ href: search.next ?? "/" });
  },
  component: lazyRouteComponent(() => import("@/session/LoginPage"), "LoginPage"),
});

const signedIn = createRoute({
  getParentRoute: () => root,
  id: "signed-in",
  beforeLoad: ({ location }) => {
    if (!session.get())
      throw redirect({ to: "/login", search: location.href === "/" ? {} : { next: location.href } });
  },
  component: Shell,
});

const overview = createRoute({
  getParentRoute: () => signedIn,
  path: "/",
  component: lazyRouteComponent(() => import("@/overview/OverviewPage"), "OverviewPage"),
});

const devices = createRoute({
  getParentRoute: () => signedIn,
  path: "/devices",
  validateSearch: deviceFilter,
  component: lazyRouteComponent(() => import("@/devices/DevicesPage"), "DevicesPage"),
});

const device = createRoute({
  getParentRoute: () => signedIn,
  path: "/devices/$id",
  component: lazyRouteComponent(() => import("@/devices/DevicePage"), "DevicePage"),
});

const enrol = createRoute({
  getParentRoute: () => signedIn,
  path: "/enrol",
  component: lazyRouteComponent(() => import("@/enrol/EnrolPage"), "EnrolPage"),
});

const alerts = createRoute({
  getParentRoute: () => signedIn,
  path: "/alerts",
  validateSearch: alertSearch,
  component: lazyRouteComponent(() => import("@/alerts/AlertsPage"), "AlertsPage"),
});

const runs = createRoute({
  getParentRoute: () => signedIn,
  path: "/runs",
  component: lazyRouteComponent(() => import("@/runs/RunsPage"), "RunsPage"),
});

const startRun = createRoute({
  getParentRoute: () => signedIn,
  path: "/runs/new",
  component: lazyRouteComponent(() => import("@/runs/start/StartPage"), "StartPage"),
});

const compareRuns = createRoute({
  getParentRoute: () => signedIn,
  path: "/runs/compare",
  validateSearch: compareSearch,
  component: lazyRouteComponent(() => import("@/runs/compare/ComparePage"), "ComparePage"),
});

const run = createRoute({
  getParentRoute: () => signedIn,
  path: "/runs/$id",
  component: lazyRouteComponent(() => import("@/runs/RunPage"), "RunPage"),
});

const models = createRoute({
  getParentRoute: () => signedIn,
  path: "/models",
  component: lazyRouteComponent(() => import("@/models/ModelsPage"), "ModelsPage"),
});

const model = createRoute({
  getParentRoute: () => signedIn,
  path: "/models/$name",
  component: lazyRouteComponent(() => import("@/models/ModelPage"), "ModelPage"),
});

const version = createRoute({
  getParentRoute: () => signedIn,
  path: "/models/$name/$version",
  component: lazyRouteComponent(() => import("@/models/VersionPage"), "VersionPage"),
});

const rollout = createRoute({
  getParentRoute: () => signedIn,
  path: "/rollouts/$id",
  component: lazyRouteComponent(() => import("@/rollouts/RolloutPage"), "RolloutPage"),
});

const audit = createRoute({
  getParentRoute: () => signedIn,
  path: "/audit",
  validateSearch: auditSearch,
  component: lazyRouteComponent(() => import("@/audit/AuditPage"), "AuditPage"),
});

const users = createRoute({
  getParentRoute: () => signedIn,
  path: "/users",
  component: lazyRouteComponent(() => import("@/people/UsersPage"), "UsersPage"),
});

const settings = createRoute({
  getParentRoute: () => signedIn,
  path: "/settings",
  component: lazyRouteComponent(() => import("@/system/SettingsPage"), "SettingsPage"),
});

const system = createRoute({
  getParentRoute: () => signedIn,
  path: "/system",
  component: lazyRouteComponent(() => import("@/system/SystemPage"), "SystemPage"),
});

const account = createRoute({
  getParentRoute: () => signedIn,
  path: "/account",
  component: lazyRouteComponent(() => import("@/account/AccountPage"), "AccountPage"),
});

const confirm = createRoute({
  getParentRoute: () => signedIn,
  path: "/confirm/$code",
  component: lazyRouteComponent(() => import("@/session/ConfirmPage"), "ConfirmPage"),
});

/** Whatever no other line names. */
const missing = createRoute({ getParentRoute: () => signedIn, path: "$", component: NotFound });

export const router = createRouter({
  routeTree: root.addChildren([
    login,
    signedIn.addChildren([
      overview,
      devices,
      device,
      enrol,
      alerts,
      runs,
      startRun,
      compareRuns,
      run,
      models,
      model,
      version,
      rollout,
      audit,
      users,
      settings,
      system,
      account,
      confirm,
      missing,
    ]),
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: ({ error, reset }) => <Problems error={error} retry={reset} />,
  scrollRestoration: true,
  search: { strict: true },
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

/** A path of this console, so that a crafted link cannot send anyone elsewhere after login. */
function isOwnPath(path: unknown): path is string {
  return typeof path === "string" && /^\/(?![/\\])/.test(path);
}
