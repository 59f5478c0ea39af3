/** A small workflow that shows a trigger, jobs in parallel, and a question to people. */
export const demoDefinition = {
  name: "demo-report",
  description: "Collects figures, builds a report, and asks before it is sent.",
  triggers: {
    weekdays: { type: "cron", cron: "0 9 * * MON-FRI", timezone: "Europe/Berlin" },
    "by-hand": { type: "manual" },
  },
  jobs: {
    sales: { uses: "sleep_for", with: { duration: "400ms" } },
    costs: { uses: "sleep_for", with: { duration: "700ms" } },
    report: { needs: ["sales", "costs"], uses: "noop" },
    ask: { needs: ["report"], uses: "approval", with: { ask: "Send the report?", timeout: "1h" } },
    deliver: { needs: ["ask"], if: "jobs.ask.output.approved", uses: "noop" },
  },
};
