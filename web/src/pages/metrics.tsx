import { useQuery } from "@tanstack/react-query";
import { credentials } from "../lib/api";
import { duration } from "../lib/time";
import { Empty, Loaded, Page, Panel } from "../parts/basic";

interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** The figures that Prometheus reads. */
export default function Metrics() {
  const found = useQuery<Sample[], Error>({
    queryKey: ["/metrics"],
    queryFn: async () => parsed(await (await fetch("/metrics", { headers: { ...credentials(), accept: "text/plain" } })).text()),
    refetchInterval: 5000,
  });
  return (
    <Page title="Metrics" about="Since this process began; Prometheus reads the same at /metrics.">
      <Loaded of={found}>
        {(samples) => samples.length === 0 ? <Empty title="There are no figures." /> : (
          <>
            <div className="columns">
              <Panel title="Events received"><Counts samples={samples} name="triggers_events_received_total" by="provider" /></Panel>
              <Panel title="Runs finished"><Counts samples={samples} name="triggers_runs_finished_total" by="status" /></Panel>
            </div>
            <div className="columns">
              <Panel title="Runs started"><Counts samples={samples} name="triggers_runs_started_total" by="provider" /></Panel>
              <Panel title="From the event to its decision"><Latency samples={samples} name="triggers_latency_seconds" /></Panel>
            </div>
            <Panel title="Gauges"><Gauges samples={samples} /></Panel>
          </>
        )}
      </Loaded>
    </Page>
  );
}

function parsed(text: string): Sample[] {
  return text.split("\n").flatMap((line) => {
    const match = /^([a-z_:]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!match) return [];
    const labels = Object.fromEntries([...(match[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map((one) => [one[1] ?? "", one[2] ?? ""]));
    return [{ name: match[1] ?? "", labels, value: Number(match[3]) }];
  });
}

function Counts({ samples, name, by }: { samples: Sample[]; name: string; by: string }) {
  const rows = samples.filter((one) => one.name === name).sort((a, b) => b.value - a.value);
  const most = Math.max(1, ...rows.map((one) => one.value));
  if (rows.length === 0) return <Empty title="None yet." />;
  return (
    <ul className="counts">
      {rows.map((one) => (
        <li key={one.labels[by]}>
          <span>{one.labels[by]}</span>
          <span className="bar-space"><span className="bar plain" style={{ width: `${(one.value / most) * 100}%` }} /></span>
          <b>{one.value.toLocaleString("en")}</b>
        </li>
      ))}
    </ul>
  );
}

function Latency({ samples, name }: { samples: Sample[]; name: string }) {
  const providers = [...new Set(samples.filter((one) => one.name === `${name}_count`).map((one) => one.labels["provider"] ?? ""))];
  if (providers.length === 0) return <Empty title="None yet." />;
  return (
    <table>
      <thead><tr><th scope="col">Through</th><th scope="col">Half within</th><th scope="col">99 % within</th></tr></thead>
      <tbody>{providers.map((one) => <tr key={one}><td>{one}</td><td>{quantile(samples, name, one, 0.5)}</td><td>{quantile(samples, name, one, 0.99)}</td></tr>)}</tbody>
    </table>
  );
}

function quantile(samples: Sample[], name: string, provider: string, share: number): string {
  const buckets = samples
    .filter((one) => one.name === `${name}_bucket` && one.labels["provider"] === provider)
    .map((one): [number, number] => [Number(one.labels["le"]?.replace("+Inf", "Infinity")), one.value])
    .sort((a, b) => a[0] - b[0]);
  const wanted = (buckets.at(-1)?.[1] ?? 0) * share;
  const bound = buckets.find(([, count]) => count >= wanted)?.[0] ?? 0;
  return Number.isFinite(bound) ? duration(bound * 1000) : "over 60 s";
}

function Gauges({ samples }: { samples: Sample[] }) {
  const rows = samples.filter((one) => !/_(total|bucket|sum|count|created)$/.test(one.name)).slice(0, 60);
  return (
    <div className="table-box" role="group" aria-label="Gauges" tabIndex={0}>
      <table>
        <thead><tr><th scope="col">Name</th><th scope="col">Of</th><th scope="col">Value</th></tr></thead>
        <tbody>{rows.map((one, index) => <tr key={index}><td><code>{one.name}</code></td><td>{Object.values(one.labels).join(", ")}</td><td>{one.value.toLocaleString("en")}</td></tr>)}</tbody>
      </table>
    </div>
  );
}
