import { useState } from "react";
import { Link } from "wouter";
import { useFilters, useGet, usePages, useSend } from "../lib/hooks";
import type { DeadLetter } from "../lib/types";
import { Button, Dialog, Empty, Fact, Facts, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { ChoiceFilter, TextFilter } from "../parts/filters";
import { json } from "../parts/controls";
import { JsonField } from "../parts/form";
import { Table } from "../parts/table";

export default function DeadLetters() {
  const [filters, change] = useFilters(["status", "workflow", "reason"]);
  const status = filters.status || "dead";
  const list = usePages<DeadLetter>("/api/v1/dead-letters", { ...filters, status });
  const [opened, open] = useState<string | null>(null);
  const all = useSend();
  const filter = Object.fromEntries(Object.entries({ workflow: filters.workflow, reason: filters.reason }).filter(([, value]) => value));
  return (
    <Page
      title="Dead letters"
      about="What was given up in the open: nothing here is lost. Mend the cause, then redrive."
      actions={<Button disabled={all.isPending || !list.data?.length || status !== "dead"} onClick={() => all.mutate({ path: "/api/v1/dead-letters/redrive", body: Object.keys(filter).length ? { filter } : {} })}>Redrive all of these</Button>}
    >
      {all.error && <p className="field-error" role="alert">{all.error.message}</p>}
      <div className="filters">
        <ChoiceFilter label="State" every={null} value={status} onChange={(next) => change({ status: next })} options={["dead", "redriven", "discarded"].map((one) => [one, one])} />
        <TextFilter label="Workflow" value={filters.workflow} onChange={(workflow) => change({ workflow })} />
        <TextFilter label="Reason" value={filters.reason} onChange={(reason) => change({ reason })} />
      </div>
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? <Empty title={status === "dead" ? "Nothing was given up." : `Nothing is ${status}.`} /> : (
            <Table
              label="Dead letters"
              rows={items}
              id={(row) => row.id}
              more={list.hasNextPage ? () => void list.fetchNextPage() : undefined}
              columns={[
                { name: "When", cell: (row) => <When at={row.created_at} />, width: "110px" },
                { name: "Workflow", cell: (row) => row.workflow ?? row.workflow_id ?? "–" },
                { name: "Cause", cell: (row) => row.reason.replaceAll("_", " "), width: "150px" },
                { name: "Detail", cell: (row) => <span title={row.detail}>{row.detail}</span> },
                { name: "State", cell: (row) => <Status value={row.status} />, width: "110px" },
                { name: "", cell: (row) => <Button label={`Open the dead letter of ${row.workflow ?? row.id}`} onClick={() => open(row.id)}>Open</Button>, width: "80px" },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      {opened && <Letter id={opened} onClose={() => open(null)} />}
    </Page>
  );
}

function Letter({ id, onClose }: { id: string; onClose: () => void }) {
  const found = useGet<DeadLetter>(`/api/v1/dead-letters/${id}`);
  return (
    <Dialog title="Dead letter" onClose={onClose} wide>
      <Loaded of={found}>{(letter) => <Opened letter={letter} onClose={onClose} />}</Loaded>
    </Dialog>
  );
}

function Opened({ letter, onClose }: { letter: DeadLetter; onClose: () => void }) {
  const first = JSON.stringify(letter.payload ?? null, null, 2);
  const [text, setText] = useState(first);
  const act = useSend(onClose);
  const read = json(text);
  const body = text === first ? {} : { payload: read?.value };
  const path = `/api/v1/dead-letters/${letter.id}`;
  return (
    <div className="stack">
      <p className="strong">{letter.detail || letter.reason}</p>
      <Facts>
        <Fact name="Cause">{letter.reason.replaceAll("_", " ")}</Fact>
        <Fact name="Attempts">{letter.attempts}</Fact>
        <Fact name="Given up"><When at={letter.created_at} exact /></Fact>
        {letter.run_id && <Fact name="Run"><Link href={`/runs/${letter.run_id}`}>open</Link></Fact>}
        {letter.event_id && <Fact name="Event"><Link href={`/events/${letter.event_id}`}>open</Link></Fact>}
      </Facts>
      <JsonField label="Input" value={text} onChange={setText} hint="Change it here if it was the cause." />
      {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
      <div className="actions">
        <Button kind="main" disabled={act.isPending || !read} onClick={() => act.mutate({ path: `${path}/redrive`, body })}>Redrive</Button>
        <Button kind="danger" disabled={act.isPending} onClick={() => act.mutate({ path: `${path}/discard`, body: {} })}>Discard</Button>
      </div>
      <Twin cli={`workflow-scheduler dead-letters redrive ${letter.id}`} path={`${path}/redrive`} sending={{ body }} />
    </div>
  );
}
