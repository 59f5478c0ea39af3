import { useState } from "react";
import { Link } from "wouter";
import { useFilters, usePages, useSend } from "../lib/hooks";
import type { Wait } from "../lib/types";
import { Button, Empty, Fact, Facts, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { SchemaForm, type Values } from "../parts/form";

export default function Approvals() {
  const [filters, change] = useFilters(["status"]);
  const status = filters.status || "OPEN";
  const list = usePages<Wait>("/api/v1/waits", { status });
  return (
    <Page title="Approvals" about="What runs wait for people to decide.">
      <div className="tabs" role="group" aria-label="State">
        {["OPEN", "ANSWERED", "EXPIRED", "CANCELLED"].map((one) => (
          <Button key={one} kind={status === one ? "main" : "plain"} onClick={() => change({ status: one })}>{one.toLowerCase()}</Button>
        ))}
      </div>
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Panel><Empty title={status === "OPEN" ? "Nobody is asked for anything." : `None is ${status.toLowerCase()}.`} /></Panel> : (
          <>
            {items.map((one) => <Question key={one.id} wait={one} />)}
            {list.hasNextPage && <Button onClick={() => void list.fetchNextPage()}>More</Button>}
          </>
        )}
      </Loaded>
    </Page>
  );
}

function Question({ wait }: { wait: Wait }) {
  const [comment, setComment] = useState("");
  const [form, setForm] = useState<Values>({});
  const answer = useSend();
  const path = `/api/v1/waits/${wait.id}`;
  const more = { ...(comment ? { comment } : {}), ...(wait.form ? { answer: form } : {}) };
  const open = wait.status === "OPEN";
  return (
    <Panel title={wait.ask} label={`${wait.ask} (${wait.workflow}, ${wait.opened_at})`} actions={<Status value={wait.status} />}>
      <Facts>
        <Fact name="Run"><Link href={`/runs/${wait.run_id}`}>{wait.workflow}</Link>, job {wait.job_id}</Fact>
        <Fact name="Asked"><When at={wait.opened_at} /></Fact>
        <Fact name="Asked of">{wait.to.length ? wait.to.join(", ") : "anyone"}{wait.quorum > 1 ? `, ${wait.quorum} must agree` : ""}</Fact>
        <Fact name="Without an answer"><When at={wait.expires_at} />: {wait.on_timeout}</Fact>
      </Facts>
      {wait.answers.map((one, index) => <p key={index} className="muted">{one.by ?? "somebody"} {one.approved === undefined ? "answered" : one.approved ? "approved" : "rejected"} {one.at && <When at={one.at} />} {one.comment}</p>)}
      {open && (
        <div className="stack answer">
          {wait.form && <SchemaForm schema={wait.form} value={form} onChange={setForm} errors={answer.error?.errors ?? []} />}
          <label className="field"><span className="field-name">Comment{wait.require_comment ? " (required)" : ""}</span><input value={comment} onChange={(event) => setComment(event.target.value)} /></label>
          {answer.error && <p className="field-error" role="alert">{answer.error.message}</p>}
          <div className="actions">
            {wait.decision ? (
              <>
                <Button kind="main" disabled={answer.isPending} onClick={() => answer.mutate({ path, body: { approved: true, ...more } })}>Approve</Button>
                <Button kind="danger" disabled={answer.isPending} onClick={() => answer.mutate({ path, body: { approved: false, ...more } })}>Reject</Button>
              </>
            ) : <Button kind="main" disabled={answer.isPending} onClick={() => answer.mutate({ path, body: more })}>Answer</Button>}
          </div>
          <Twin cli={`workflow-scheduler waits answer ${wait.id} --approve`} path={path} sending={{ body: { approved: true } }} />
        </div>
      )}
    </Panel>
  );
}
