/** What the page of all runs says, and others of a run's state. */
export const runs = {
  title: "Runs",
  caption: "Training runs, newest first",
  columns: {
    run: "Run",
    status: "Status",
    progress: "Progress",
    started: "Started",
    took: "Took",
    result: "Result",
  },
  statuses: {
    pending: "Pending",
    running: "Running",
    finished: "Finished",
    failed: "Failed",
    paused: "Paused",
    stopped: "Stopped",
  },
  roundOf: (round: string, rounds: string) => `Round ${round} of ${rounds}`,
  round: (round: string) => `Round ${round}`,
  notStarted: "Waits for its first round",
  noRound: "Ended before its first round",
  left: (time: string) => `about ${time} left`,
  progress: "Progress of the run",
  promoted: (version: number) => `version ${version} promoted`,
  empty: {
    title: "No runs yet",
    text: "Start one from any Flower app folder; the digits example ships with FLIP.",
    onHub: "On the hub",
  },
};
