/** What stands around every page, and on many. */
export const shell = {
  brand: "FLIP",
  skip: "Skip to content",
  notFound: { title: "No such page", text: "The address may be mistyped, or the thing it named is gone." },
  notAllowed: {
    title: "Your role does not allow this",
    text: (permission: string) =>
      `It needs the permission ${permission}. An admin can give you a role that has it.`,
  },
  loading: "Loading…",
  retry: "Try again",
  cancel: "Cancel",
  close: "Close",
  copy: "Copy",
  copied: "Copied",
  none: "–",
  all: "All",
  data: "Data",
  sent: (sent: string, size: string) => `${sent} of ${size}`,
  byDefault: (value: string) => `${value} unless you say otherwise`,
  back: { devices: "All devices", runs: "All runs", models: "All models" },
  enrolDevices: "Enrol devices",
  startRun: "Start a run",
  severities: { info: "Note", warning: "Warning", critical: "Critical" },

  nav: {
    label: "Main",
    open: "Open menu",
    close: "Close menu",
    overview: "Overview",
    devices: "Devices",
    runs: "Runs",
    models: "Models",
    alerts: "Alerts",
    openAlerts: "open alerts",
    administration: "Administration",
    users: "Users",
    audit: "Audit",
    system: "System",
    settings: "Settings",
    account: "Your account",
  },

  palette: {
    title: "Go to or do anything",
    hint: "A page, a device, a run, a model…",
    found: "Found",
    nothing: "Nothing is called so.",
    kinds: { page: "Page", act: "Do", device: "Device", run: "Run", model: "Model" },
    compare: "Compare runs",
    theme: "Change the colours",
    language: "Change the language",
    shortcuts: "Keyboard shortcuts",
    search: "Search on this page",
  },

  link: {
    label: "Link to the hub",
    connecting: "Connecting",
    live: "Live",
    waiting: "Reconnecting",
    connectingHint: "The link to the hub is being opened.",
    liveHint: "Changes appear as they happen.",
    waitingHint:
      "The hub does not answer. What you see may be old; it is fetched again once the link is back.",
  },

  theme: { label: "Colours", system: "As the system", light: "Light", dark: "Dark" },

  problem: {
    unreachable: "The hub does not answer",
    unreachableDetail: "No answer came from the hub at this address.",
    unreachableHint: "Check that flip-hub serve is running and that this machine reaches it.",
    unknown: (status: number) => `The hub answered with status ${status} and no explanation.`,
    broken: "This page broke",
    trace: "Trace",
  },
};
