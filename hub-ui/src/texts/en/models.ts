/** What the models' pages say. */
export const models = {
  title: "Models",
  caption: "Models and the versions that devices are meant to serve",
  columns: {
    name: "Model",
    promoted: "Promoted",
    latest: "Latest",
    versions: "Versions",
    updated: "Updated",
  },
  nonePromoted: "none",
  version: (version: number) => `version ${version}`,
  empty: {
    title: "No models yet",
    text: "Every round of a run registers a version of the model that it trained.",
    onHub: "On the hub",
  },
};

export const model = {
  back: "All models",
  caption: "Versions, newest first",
  columns: {
    version: "Version",
    state: "State",
    devices: "On devices",
    from: "From",
    size: "Size",
    created: "Made",
    promote: "Promote",
  },
  promoted: "Promoted",
  deployable: "Deployable",
  weightsOnly: "Weights only",
  weightsOnlyHint:
    "Kept and downloadable. No device can serve it without a graph; its run says why there is none.",
  fromRound: (round: number) => `round ${round}`,
  promote: "Promote",
  rollBack: "Roll back",
  promoteAction: (name: string, version: number) => `Promote ${name} ${version}`,
  rollBackAction: (name: string, version: number) => `Roll back to ${name} ${version}`,
  promoteTitle: (name: string, version: number) => `Promote ${name} ${version}?`,
  rollBackTitle: (name: string, version: number) => `Roll ${name} back to ${version}?`,
  promoteText: (before: number | null) =>
    before === null
      ? "Devices download it, check it against its probe and then serve it."
      : `Devices download it, check it against its probe and then serve it instead of version ${before}. A device that refuses it goes on with what it has.`,
  withdrawn: "Withdrawn",
  rollouts: "Rollouts",
  rolloutsCaption: "Rollouts of this model, newest first",
};
