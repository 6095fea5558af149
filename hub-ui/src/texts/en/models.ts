/** What the page of all models says. */
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
