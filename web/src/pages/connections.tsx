import { useState } from "react";
import { useGet, usePages, useSend } from "../lib/hooks";
import type { Page as Items, Schema } from "../lib/types";
import { Connect, Reconnect, type Provider } from "../parts/connect";
import { Button, Dialog, Empty, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { Buttons, SchemaForm, type Values } from "../parts/form";
import { Table } from "../parts/table";

interface Connection {
  name: string;
  kind: string;
  fields: Record<string, unknown>;
  expires_at: string | null;
  updated_at: string;
  consent: { provider: string; account: string; scopes: string } | null;
}

interface Kind {
  name: string;
  summary: string;
  fields: Schema;
}

export default function Connections() {
  const list = usePages<Connection>("/api/v1/connections");
  const providers = useGet<Items<Provider>>("/api/v1/auth");
  const [adding, setAdding] = useState(false);
  const [connecting, setConnecting] = useState<Provider | null>(null);
  const known = (providers.data?.items ?? []).filter((one) => one.configured);
  const remove = useSend();
  return (
    <Page title="Connections" about="Addresses and credentials that triggers and jobs use by name. Secrets are never shown again." actions={
      <>
        {known.map((one) => <Button key={one.provider} onClick={() => setConnecting(one)}>Connect {one.title}</Button>)}
        <Button kind="main" onClick={() => setAdding(true)}>Add a connection</Button>
      </>
    }>
      {remove.error && <p className="field-error" role="alert">{remove.error.message}</p>}
      <Panel>
        <Loaded of={list}>
          {(items) => items.length === 0 ? <Empty title="There are no connections yet."><p>A mail server, a database, Slack, or any HTTP service.</p></Empty> : (
            <Table
              label="Connections"
              rows={items}
              id={(row) => row.name}
              columns={[
                { name: "Name", cell: (row) => row.name },
                { name: "Kind", cell: (row) => row.consent?.account ? `${row.kind}, ${row.consent.account}` : row.kind },
                { name: "Expires", cell: (row) => <When at={row.expires_at} /> },
                { name: "Changed", cell: (row) => <When at={row.updated_at} /> },
                { name: "Works", cell: (row) => <Test name={row.name} /> },
                { name: "", cell: (row) => (
                  <span className="row tight">
                    {row.consent && <Reconnect name={row.name} provider={row.consent.provider} scopes={row.consent.scopes} />}
                    <Button kind="quiet" label={`Delete ${row.name}`} onClick={() => remove.mutate({ path: `/api/v1/connections/${row.name}`, method: "DELETE" })}>Delete</Button>
                  </span>
                ) },
              ]}
            />
          )}
        </Loaded>
      </Panel>
      {adding && <Add onClose={() => setAdding(false)} />}
      {connecting && <Connect provider={connecting} onClose={() => setConnecting(null)} />}
    </Page>
  );
}

function Test({ name }: { name: string }) {
  const test = useSend<{ ok?: boolean; message?: string; detail?: string }>();
  return (
    <span className="row tight">
      <Button disabled={test.isPending} onClick={() => test.mutate({ path: `/api/v1/connections/${name}/test`, body: {} })}>{test.isPending ? "Testing …" : "Test"}</Button>
      {test.data && <Status value={test.data.ok === false ? "failed" : "healthy"} label={test.data.message ?? test.data.detail ?? (test.data.ok === false ? "does not work" : "works")} />}
      {test.error && <span className="field-error">{test.error.message}</span>}
    </span>
  );
}

function Add({ onClose }: { onClose: () => void }) {
  const kinds = useGet<Items<Kind>>("/api/v1/connection-kinds");
  const [name, setName] = useState("");
  const [kind, setKind] = useState("");
  const [fields, setFields] = useState<Values>({});
  const save = useSend(onClose);
  const chosen = kinds.data?.items.find((one) => one.name === kind);
  return (
    <Dialog title="Add a connection" onClose={onClose}>
      <form className="stack" noValidate onSubmit={(event) => { event.preventDefault(); save.mutate({ path: "/api/v1/connections", body: { name, kind, fields } }); }}>
        <label className="field"><span className="field-name">Name</span><input value={name} onChange={(event) => setName(event.target.value)} /></label>
        <label className="field"><span className="field-name">Kind</span>
          <select value={kind} onChange={(event) => { setKind(event.target.value); setFields({}); }}>
            <option value="">Choose …</option>
            {kinds.data?.items.map((one) => <option key={one.name}>{one.name}</option>)}
          </select>
        </label>
        {chosen && <SchemaForm key={kind} schema={chosen.fields} value={fields} onChange={setFields} errors={save.error?.errors ?? []} />}
        {save.error && <p className="field-error" role="alert">{save.error.message}</p>}
        <Buttons busy={save.isPending} main="Add" onCancel={onClose} />
        <Twin cli={`workflow-scheduler connection add ${name || "NAME"} --kind ${kind || "KIND"}`} />
      </form>
    </Dialog>
  );
}
