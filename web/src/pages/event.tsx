import { useState } from "react";
import { Link } from "wouter";
import { save } from "../lib/api";
import { useGet, useSend } from "../lib/hooks";
import type { Decision, StoredEvent } from "../lib/types";
import { Button, Empty, Fact, Facts, Json, Loaded, Page, Panel, Twin, When } from "../parts/basic";
import { Funnel } from "../parts/funnel";

export interface Explained {
  event: StoredEvent;
  summary: string;
  decisions: Decision[];
  duplicates: number;
}

export default function EventPage({ id }: { id: string }) {
  const found = useGet<Explained>(`/api/v1/events/${id}/explain`);
  return (
    <Page title={found.data ? found.data.event.type : "Event"} about={<>event <code>{id}</code></>} actions={<Replay id={id} />}>
      <Loaded of={found}>{(value) => <EventFunnel explained={value} />}</Loaded>
    </Page>
  );
}

interface Attachment {
  number: number;
  name: string;
  content_type: string;
  size: number;
}

/** The files that are stored with an event, where its data names any. */
function Attachments({ id, data }: { id: string; data: unknown }) {
  const described = (data as { attachments?: { ref?: string }[] } | null)?.attachments;
  const stored = Array.isArray(described) && described.some((one) => one?.ref?.startsWith(`${id}/`));
  return stored ? <StoredFiles id={id} /> : null;
}

function StoredFiles({ id }: { id: string }) {
  const found = useGet<{ items: Attachment[] }>(`/api/v1/events/${id}/attachments`);
  const [failure, setFailure] = useState("");
  const keep = (one: Attachment) => {
    setFailure("");
    save(`/api/v1/events/${id}/attachments/${one.number}`, one.name).catch((error: Error) => setFailure(error.message));
  };
  return (
    <Panel title="Attachments">
      <Loaded of={found}>
        {({ items }) => (
          <Facts>
            {items.map((one) => (
              <Fact key={one.number} name={one.name || `Number ${one.number}`}>
                {one.content_type}, {one.size.toLocaleString()} bytes{" "}
                <Button onClick={() => keep(one)}>Save {one.name || one.number}</Button>
              </Fact>
            ))}
          </Facts>
        )}
      </Loaded>
      {failure && <span className="field-error" role="alert">{failure}</span>}
    </Panel>
  );
}

function Replay({ id }: { id: string }) {
  const replay = useSend();
  return (
    <>
      <Button disabled={replay.isPending} onClick={() => replay.mutate({ path: "/api/v1/events/replay", body: { ids: [id] } })}>Replay</Button>
      {replay.isSuccess && <span role="status">Replayed.</span>}
      {replay.error && <span className="field-error" role="alert">{replay.error.message}</span>}
    </>
  );
}

export function EventFunnel({ explained }: { explained: Explained }) {
  const { event, decisions, summary } = explained;
  return (
    <>
      {decisions.length !== 1 && <p className="notice strong">{summary.replaceAll("*", "")}</p>}
      <Panel title={`Decisions (${decisions.length})`}>
        {decisions.length === 0 ? (
          <Empty title="No trigger was asked about it.">
            <p>None listens to <code>{event.type}</code>. <Link href="/workflows/new">Make a workflow that does</Link>.</p>
          </Empty>
        ) : decisions.map((one) => <Funnel key={one.trigger_id} decision={one} event={event} />)}
      </Panel>
      <div className="columns">
        <Panel title="What came">
          <Facts>
            <Fact name="Received"><When at={event.received_at} exact /></Fact>
            <Fact name="Happened"><When at={event.time} exact /></Fact>
            <Fact name="Source"><code>{event.source}</code></Fact>
            <Fact name="Through">{event.provider}</Fact>
            <Fact name="Key"><code>{event.event_key}</code></Fact>
            <Fact name="Repeats">{explained.duplicates}</Fact>
            {event.cause_run_id && <Fact name="Told by"><Link href={`/runs/${event.cause_run_id}`}>a run</Link></Fact>}
            {event.replay_of && <Fact name="Replay of"><Link href={`/events/${event.replay_of}`}>an event</Link></Fact>}
          </Facts>
        </Panel>
        <Panel title="Payload"><Json value={event.data} label="Payload" /></Panel>
      </div>
      <Attachments id={event.id} data={event.data} />
      {event.attributes && Object.keys(event.attributes).length > 0 && <Panel title="Attributes"><Json value={event.attributes} label="Attributes" /></Panel>}
      <Twin cli={`workflow-scheduler explain ${event.id}`} />
    </>
  );
}
