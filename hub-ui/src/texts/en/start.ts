/** What the form says that starts a run. A field's words stand under the name that the hub knows it by. */
interface Words {
  label: string;
  hint?: string;
}

const fields: Record<string, Words> = {
  fab_hash: { label: "App", hint: "flip-hub runs start FOLDER uploads another one." },
  promote: { label: "When it ends" },
  metric: {
    label: "Metric that decides which version is best",
    hint: "Higher is better, except for names that end in loss.",
  },
  "plan.strategy": { label: "Strategy" },
  "plan.filter.tags": {
    label: "Tags",
    hint: "A device has at least one of them. Separate them with commas.",
  },
  "plan.filter.sites": { label: "Sites", hint: "Separate them with commas." },
  "plan.filter.on_mains": { label: "Not on battery" },
  "plan.filter.unmetered": { label: "With a link that costs nothing" },
  "plan.filter.least_samples": {
    label: "Least samples",
    hint: "Of a device's last update of this app; one that was never asked takes part.",
  },
  "plan.rounds.deadline": {
    label: "Deadline, seconds",
    hint: "After which a round goes on without the rest. 0: the app's own limit.",
  },
  "plan.rounds.quorum": {
    label: "Quorum, 0 to 1",
    hint: "Share of the devices asked; with fewer results a round changes nothing.",
  },
  "plan.rounds.over_sample": {
    label: "Over-sampling, 0 to 4",
    hint: "Share of devices asked beyond those that the strategy chose.",
  },
  "plan.rounds.wait": {
    label: "Wait for enough devices, seconds",
    hint: "Then the run ends and says so.",
  },
  "plan.folding": {
    label: "Fold in late results",
    hint: "Results of earlier rounds join the round in which they come, with less weight.",
  },
  "plan.folding.exponent": {
    label: "Exponent, 0 to 10",
    hint: "a of (1+s)^-a, the weight of a result s rounds late.",
  },
  "plan.folding.rounds": { label: "Rounds late at most, 1 to 20" },
  "plan.start": { label: "Start from" },
  "plan.start.model": { label: "Model" },
  "plan.start.version": { label: "Version" },
  "plan.start.run_id": { label: "Run", hint: "One that has ended, such as run-0123456789ab." },
  "plan.start.round": { label: "After its round", hint: "Empty: its last checkpoint." },
  "plan.privacy.mode": { label: "Who clips updates, and who adds noise" },
  "plan.privacy.budget": { label: "Budget, epsilon", hint: "At most, of the whole run." },
  "plan.privacy.delta": {
    label: "Delta",
    hint: "With which the bound may fail; less than one in the number of devices.",
  },
  "plan.privacy.noise_multiplier": {
    label: "Noise multiplier",
    hint: "Deviation of the noise on the sum of a round's updates, in clipping norms.",
  },
  "plan.privacy.clipping_norm": {
    label: "Clipping norm",
    hint: "Length to which an update is cut; where it adapts, of the first round.",
  },
  "plan.privacy.clipped_count_stddev": {
    label: "Noise on the count of clipped updates",
    hint: "In devices; a twentieth of a round's devices is usual.",
  },
  "plan.privacy.clipped_share": { label: "Share of updates to clip, 0 to 1" },
  "plan.privacy.clipping_rate": { label: "How fast the norm follows, 0 to 10" },
  "plan.privacy.message_epsilon": { label: "Epsilon of one message", hint: "By which the noise is chosen." },
  "plan.privacy.message_delta": { label: "Delta of one message" },
  "plan.privacy.sensitivity": { label: "Sensitivity", hint: "Empty: twice the clipping norm." },
  "plan.privacy.metrics": { label: "What devices measure", hint: "No noise hides metrics." },
  "plan.secure": {
    label: "Secure aggregation",
    hint: "The hub learns the sum of a round's updates, and no single one.",
  },
  "plan.secure.clip": { label: "Clip", hint: "By how much a value may change on a device in a round." },
  "plan.secure.max_weight": { label: "Samples of one device at most" },
  "plan.secure.most": { label: "Devices in a round at most", hint: "The more, the coarser the sum." },
  "plan.secure.least": { label: "Devices in a sum at least" },
  "plan.secure.dropout": { label: "Share that may be lost, 0 to 1" },
  "plan.secure.colluding": { label: "Share that may collude with the hub, 0 to 1" },
  "plan.secure.bits": { label: "Bits of a value, 2 to 31", hint: "Empty: as many as fit." },
  "plan.update.codec": { label: "Updates travel as" },
  "plan.update.share": { label: "Share of entries kept, 0 to 1" },
  "plan.local": {
    label: "Arrays that stay on each device",
    hint: "Patterns such as head.*, with commas between them: trained there, kept there, never sent.",
  },
  "plan.dataset": { label: "Dataset on the hub", hint: "That the app's evaluation on the hub reads." },
  "plan.seed": { label: "Seed", hint: "Of all that is drawn, such as the devices of a round." },
};

export const start = {
  title: "Start a run",
  submit: "Start",
  submitting: "Starting…",
  check: "Check",
  fields,
  sections: {
    app: "App",
    configuration: "The app's configuration",
    strategy: "Strategy",
    options: "Options of the strategy",
    devices: "Devices",
    rounds: "Rounds",
    start: "Start from",
    privacy: "Differential privacy",
    secure: "Secure aggregation",
    updates: "Updates and the model",
  },
  set: (count: string) => `${count} set`,
  needed: "This is needed.",
  notWhole: "A whole number is needed.",
  tooLarge: "This form takes no number of more than 53 bits.",
  notNumber: "A number is needed.",
  upload: "Upload an app",
  uploadText:
    "A Flower App Bundle, as flwr build makes it. Devices run it once a key that they trust has signed it.",
  file: "App (.fab)",
  noApps: "No apps yet",
  noAppsText:
    "An app is uploaded once, here or from a terminal; then it can be started as often as you like.",
  ownStrategy: "The app's own",
  source: "Where it is described",
  streams: (updates: string) =>
    `The hub needs memory for ${updates} updates, however many devices there are.`,
  collects: (fixed: string, each: string) =>
    `The hub needs memory for ${fixed} updates, and ${each} more for each device of a round.`,
  atLeast: (value: string) => `at least ${value}`,
  above: (value: string) => `more than ${value}`,
  atMost: (value: string) => `at most ${value}`,
  below: (value: string) => `less than ${value}`,
  price: (planned: string, budget: string, delta: string) =>
    `This will cost ε ${planned} of a budget of ${budget}, for δ ${delta}.`,
  priceUnknown: "What this will cost is not known before the app says how many rounds it has.",
  nothingWrong: "The hub would start this run as it is.",
  able: (devices: string) =>
    devices === "1" ? "One device would train now" : `${devices} devices would train now`,
  notAble: (absent: string, barred: string) =>
    `${absent} more would once they are back or free; ${barred} are left out by what is chosen here.`,
  whyNot: "Which, and why",
  moreOthers: (others: string) => `and ${others} more`,
  absences: {
    revoked: "revoked",
    unknown: "not heard of now",
    "safe mode": "in safe mode",
    held: "its governor holds training",
  },
  choices: {
    promote: { best: "The best version is promoted", none: "Nothing is promoted" },
    start: { "": "The app's own arrays", model: "A registered model", run: "An earlier run" },
    privacy: {
      "": "Nobody: no differential privacy",
      "hub-fixed": "The hub clips and adds noise",
      "hub-adaptive": "The hub clips by a norm that adapts, and adds noise",
      "device-fixed": "Devices clip, the hub adds noise",
      "device-adaptive": "Devices clip by a norm that adapts, the hub adds noise",
      local: "Each device clips and adds noise",
    },
    metrics: { none: "No metrics leave the devices", shown: "Metrics as without privacy" },
    codec: {
      float: "Numbers as the app gives them",
      int8: "8 bits for each entry",
      int4: "4 bits for each entry",
      topk: "The largest entries alone",
    },
    noDataset: "None",
  },
};
