import { useState } from "react";
import { usePages, useSend } from "../lib/hooks";
import { Button, Dialog, Empty, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { BodyForm, useBody } from "../parts/body-form";
import { whole } from "../parts/controls";
import { Buttons, type Values } from "../parts/form";
import { PlanningTabs, Remove } from "../parts/planning";
import { Table } from "../parts/table";

interface Blackout {
  name: string;
  mode: string | null;
  workflows: string[];
  timezone: string | null;
  active: boolean;
  active_until: string | null;
  next_start: string | null;
  error: { message?: string } | null;
  revision: number;
  [field: string]: unknown;
}

const ROOT = "/api/v1/blackouts";
const FIELDS = ["mode", "workflows", "timezone", "from", "to", "cron", "rrule", "dtstart", "duration", "reason"];
const ONCE = ["from", "to"];
const AGAIN = ["cron", "duration", "rrule", "dtstart"];

export default function Blackouts() {
  const list = usePages<Blackout>(ROOT);
  const [opened, open] = useState<Blackout | "new" | null>(null);
  return (
    <Page title="Blackouts" about="Stretches of time in which schedules start nothing. Events start workflows all the same." actions={<Button kind="main" onClick={() => open("new")}>Add a blackout</Button>}>
      <PlanningTabs />
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? <Empty title="There are no blackouts."><p>A weekend of maintenance, or the night of the month's end.</p></Empty> : (
            <Table
              label="Blackouts"
              rows={items}
              id={(row) => row.name}
              more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
              columns={[
                { name: "Name", cell: (row) => row.name },
                { name: "Now", cell: (row) => row.error ? <Status value="error" label={row.error.message ?? "cannot be read"} /> : row.active ? <span><Status value="paused" label="holds" /> <When at={row.active_until} zone={row.timezone ?? "UTC"} /></span> : <Status value="idle" label="not now" /> },
                { name: "Next", cell: (row) => <When at={row.next_start} zone={row.timezone ?? "UTC"} /> },
                { name: "When", cell: (row) => <code>{inWords(row)}</code>, width: "minmax(14rem, 2fr)" },
                { name: "Fires in it", cell: (row) => row.mode === "skip" ? "left out" : "wait for the end" },
                { name: "Workflows", cell: (row) => row.workflows.join(", ") || "all" },
                { name: "", cell: (row) => <span className="row tight"><Button label={`Change ${row.name}`} onClick={() => open(row)}>Change</Button><Remove name={row.name} path={`${ROOT}/${encodeURIComponent(row.name)}`} /></span>, width: "230px" },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      {opened && <Edit blackout={opened === "new" ? undefined : opened} onClose={() => open(null)} />}
    </Page>
  );
}

function inWords(row: Blackout): string {
  const again = row["cron"] ?? row["rrule"];
  const zone = row.timezone ? ` ${row.timezone}` : "";
  return again ? `${String(again)} for ${String(row["duration"])}${zone}` : `${String(row["from"])} to ${String(row["to"])}`;
}

function Edit({ blackout, onClose }: { blackout: Blackout | undefined; onClose: () => void }) {
  const body = useBody(blackout ? "BlackoutBody" : "NewBlackout");
  const [values, setValues] = useState<Values>(() => Object.fromEntries(FIELDS.filter((name) => blackout?.[name] != null).map((name) => [name, blackout?.[name]])));
  const [again, setAgain] = useState(blackout ? blackout["from"] == null : false);
  const save = useSend(onClose);
  const other = again ? ONCE : AGAIN;
  const given = Object.fromEntries(Object.entries(values).filter(([name]) => !other.includes(name)));
  const path = blackout ? `${ROOT}/${encodeURIComponent(blackout.name)}` : ROOT;
  const method = blackout ? "PUT" : "POST";
  return (
    <Dialog title={blackout ? `Change ${blackout.name}` : "Add a blackout"} onClose={onClose}>
      <form className="stack" noValidate onSubmit={whole(() => save.mutate({ path, method, body: given, ...(blackout ? { headers: { "if-match": `"${blackout.revision}"` } } : {}) }))}>
        <div className="tabs" role="group" aria-label="How often">
          <Button kind={again ? "plain" : "main"} onClick={() => setAgain(false)}>Once</Button>
          <Button kind={again ? "main" : "plain"} onClick={() => setAgain(true)}>Again and again</Button>
        </div>
        <Loaded of={body}>
          {(schema) => <BodyForm schema={schema} first={[...(blackout ? [] : ["name"]), ...(again ? AGAIN.slice(0, 2) : ONCE), "mode"]} without={other} value={values} onChange={setValues} errors={save.error?.errors ?? []} />}
        </Loaded>
        {save.error && <p className="field-error" role="alert">{save.error.message}</p>}
        <Buttons busy={save.isPending} main={blackout ? "Save" : "Add"} onCancel={onClose} />
        <Twin path={path} sending={{ method, body: given }} />
      </form>
    </Dialog>
  );
}
