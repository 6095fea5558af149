/** What a model's page says. */
export const model = {
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
};
