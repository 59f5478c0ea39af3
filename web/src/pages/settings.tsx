import { useState, type ReactNode } from "react";
import { Link } from "wouter";
import { setKey } from "../lib/api";
import { useGet, usePages, useSend } from "../lib/hooks";
import type { Page as Items } from "../lib/types";
import { Button, Copy, Empty, Fact, Facts, Json, Loaded, Page, Panel, Status, Twin, When } from "../parts/basic";
import { Table } from "../parts/table";

const PARTS: [string, string][] = [["health", "Health"], ["members", "Members"], ["keys", "API keys"], ["secrets", "Secrets"], ["limits", "Limits"], ["quarantine", "Quarantine"], ["audit", "Audit"]];
const SHOWN: Record<string, () => ReactNode> = { health: () => <Health />, members: () => <Members />, keys: () => <Keys />, secrets: () => <Secrets />, limits: () => <Limits />, quarantine: () => <Quarantine />, audit: () => <Audit /> };

export default function Settings({ part }: { part: string }) {
  const me = useGet<{ tenant_id: string; user_id: string; role: string }>("/api/v1/me");
  return (
    <Page title="Settings" about={me.data ? `You are ${me.data.user_id}, ${me.data.role} of the tenant ${me.data.tenant_id}.` : undefined} actions={<Button onClick={() => { setKey(""); location.reload(); }}>Sign out</Button>}>
      <nav className="tabs" aria-label="Settings">
        {PARTS.map(([name, title]) => <Link key={name} href={`/settings/${name}`} className={name === part ? "button main" : "button plain"} aria-current={name === part ? "page" : undefined}>{title}</Link>)}
      </nav>
      {SHOWN[part]?.() ?? <Empty title="There are no such settings." />}
    </Page>
  );
}

interface Detailed {
  status: string;
  version: string;
  tzdata: string;
  components: Record<string, { status?: string } | string>;
  instances: { id: string; started_at: string; roles: string; version: string }[];
}

function Health() {
  const found = useGet<Detailed>("/health/detailed", {}, 5000);
  return (
    <Loaded of={found}>
      {(health) => (
        <>
          <Panel title="Parts">
            <Facts>
              <Fact name="Service"><Status value={health.status} /></Fact>
              <Fact name="Version">{health.version}</Fact>
              <Fact name="Time zones">tzdata {health.tzdata}</Fact>
              {Object.entries(health.components).map(([name, one]) => <Fact key={name} name={name.replaceAll("_", " ")}><Status value={typeof one === "string" ? one : (one.status ?? "active")} /></Fact>)}
            </Facts>
          </Panel>
          <Panel title="Instances">
            <Table label="Instances" rows={health.instances} id={(row) => row.id} columns={[
              { name: "Instance", cell: (row) => <code>{row.id}</code> }, { name: "Since", cell: (row) => <When at={row.started_at} /> },
              { name: "Does", cell: (row) => row.roles.split(",").join(", ") }, { name: "Version", cell: (row) => row.version },
            ]} />
          </Panel>
          <Panel title="Everything"><Json value={health.components} label="Health in detail" /></Panel>
        </>
      )}
    </Loaded>
  );
}

function Members() {
  const list = usePages<{ user_id: string; role: string; name: string | null; email: string | null; groups: string[] }>("/api/v1/members");
  const [form, setForm] = useState({ user_id: "", role: "viewer" });
  const act = useSend();
  return (
    <Panel title="Members">
      <form className="row" onSubmit={(event) => { event.preventDefault(); act.mutate({ path: "/api/v1/members", body: form }); }}>
        <label className="field"><span className="field-name">User id</span><input required value={form.user_id} onChange={(event) => setForm({ ...form, user_id: event.target.value })} /></label>
        <RoleChoice value={form.role} onChange={(role) => setForm({ ...form, role })} />
        <Button type="submit" kind="main">Add</Button>
      </form>
      {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Empty title="There are no members."><p>While no key exists, everyone on this machine is the owner.</p></Empty> : (
          <Table label="Members" rows={items} id={(row) => row.user_id} columns={[
            { name: "User", cell: (row) => row.name ?? row.user_id }, { name: "Role", cell: (row) => row.role }, { name: "E-mail", cell: (row) => row.email ?? "–" },
            { name: "Groups", cell: (row) => row.groups.join(", ") || "–" },
            { name: "", cell: (row) => <Button kind="quiet" label={`Remove ${row.user_id}`} onClick={() => act.mutate({ path: `/api/v1/members/${row.user_id}`, method: "DELETE" })}>Remove</Button> },
          ]} />
        )}
      </Loaded>
    </Panel>
  );
}

function RoleChoice({ value, onChange }: { value: string; onChange: (role: string) => void }) {
  return (
    <label className="field"><span className="field-name">Role</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>{["viewer", "editor", "owner"].map((one) => <option key={one}>{one}</option>)}</select>
    </label>
  );
}

function Keys() {
  const list = usePages<{ id: string; name: string; role: string; created_at: string; expires_at: string | null; last_used_at?: string | null }>("/api/v1/keys");
  const [form, setForm] = useState({ name: "", role: "editor" });
  const [made, setMade] = useState<string | null>(null);
  const create = useSend<{ key?: string; token?: string }>((value) => setMade(value.key ?? value.token ?? null));
  const revoke = useSend();
  return (
    <Panel title="API keys">
      <form className="row" onSubmit={(event) => { event.preventDefault(); create.mutate({ path: "/api/v1/keys", body: form }); }}>
        <label className="field"><span className="field-name">Name</span><input required value={form.name} onChange={(event) => setForm({ ...form, name: event.target.value })} /></label>
        <RoleChoice value={form.role} onChange={(role) => setForm({ ...form, role })} />
        <Button type="submit" kind="main">Make a key</Button>
      </form>
      {made && <div className="command"><span>Shown once: <code>{made}</code></span><Copy text={made} /></div>}
      {(create.error ?? revoke.error) && <p className="field-error" role="alert">{(create.error ?? revoke.error)?.message}</p>}
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Empty title="There are no keys."><p>With the first one, this service asks everyone for a key.</p></Empty> : (
          <Table label="API keys" rows={items} id={(row) => row.id} columns={[
            { name: "Name", cell: (row) => row.name }, { name: "Role", cell: (row) => row.role }, { name: "Made", cell: (row) => <When at={row.created_at} /> },
            { name: "Expires", cell: (row) => <When at={row.expires_at} /> },
            { name: "", cell: (row) => <Button kind="quiet" label={`Revoke ${row.name}`} onClick={() => revoke.mutate({ path: `/api/v1/keys/${row.id}`, method: "DELETE" })}>Revoke</Button> },
          ]} />
        )}
      </Loaded>
      <Twin cli="workflow-scheduler keys create NAME --role editor" />
    </Panel>
  );
}

function Secrets() {
  const list = usePages<{ name: string; updated_at: string; updated_by: string | null }>("/api/v1/secrets");
  const [form, setForm] = useState({ name: "", value: "" });
  const act = useSend(() => setForm({ name: "", value: "" }));
  return (
    <Panel title="Secrets">
      <form className="row" autoComplete="off" onSubmit={(event) => { event.preventDefault(); act.mutate({ path: "/api/v1/secrets", body: form }); }}>
        <label className="field"><span className="field-name">Name</span><input required value={form.name} onChange={(event) => setForm({ ...form, name: event.target.value })} /></label>
        <label className="field"><span className="field-name">Value</span><input required type="password" value={form.value} onChange={(event) => setForm({ ...form, value: event.target.value })} /></label>
        <Button type="submit" kind="main">Store</Button>
      </form>
      {act.error && <p className="field-error" role="alert">{act.error.message}</p>}
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Empty title="There are no secrets." /> : (
          <Table label="Secrets" rows={items} id={(row) => row.name} columns={[
            { name: "Name", cell: (row) => <code>{row.name}</code> }, { name: "Changed", cell: (row) => <When at={row.updated_at} /> }, { name: "By", cell: (row) => row.updated_by ?? "–" },
            { name: "", cell: (row) => <Button kind="quiet" label={`Delete ${row.name}`} onClick={() => act.mutate({ path: `/api/v1/secrets/${row.name}`, method: "DELETE" })}>Delete</Button> },
          ]} />
        )}
      </Loaded>
    </Panel>
  );
}

function Limits() {
  const found = useGet<{ code_allowed: boolean; allow_code: boolean | null; resources: Record<string, unknown> }>("/api/v1/tenant/settings");
  return (
    <Panel title="Limits">
      <Loaded of={found}>
        {(one) => (
          <>
            <Facts>
              <Fact name="Jobs that run code">{one.code_allowed ? "allowed" : "not allowed"}</Fact>
              <Fact name="Pools">{Object.keys(one.resources).length}</Fact>
            </Facts>
            {Object.keys(one.resources).length > 0 && <Json value={one.resources} label="Pools" />}
            <Twin cli="workflow-scheduler limits show" />
          </>
        )}
      </Loaded>
    </Panel>
  );
}

function Quarantine() {
  const found = useGet<Items<{ kind: string; id: string; detail: string; at?: string }>>("/api/v1/quarantine");
  return (
    <Panel title="Quarantine">
      <Loaded of={found}>
        {(page) => page.items.length === 0 ? <Empty title="Every stored row can be read." /> : (
          <Table label="Quarantine" rows={page.items} id={(row) => row.kind + row.id} columns={[{ name: "Kind", cell: (row) => row.kind }, { name: "Id", cell: (row) => <code>{row.id}</code> }, { name: "Why", cell: (row) => row.detail }]} />
        )}
      </Loaded>
    </Panel>
  );
}

function Audit() {
  const list = usePages<{ id: string; at: string; user_id: string; role: string; method: string; path: string; status: number }>("/api/v1/audit");
  return (
    <Panel title="Audit">
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Empty title="Nothing was changed yet." /> : (
          <Table label="Audit" rows={items} id={(row) => row.id} more={list.hasNextPage ? () => void list.fetchNextPage() : undefined} columns={[
            { name: "When", cell: (row) => <When at={row.at} />, width: "110px" }, { name: "Who", cell: (row) => `${row.user_id} (${row.role})` },
            { name: "What", cell: (row) => <code>{row.method} {row.path}</code>, width: "minmax(20rem, 3fr)" }, { name: "Answer", cell: (row) => row.status, width: "80px" },
          ]} />
        )}
      </Loaded>
    </Panel>
  );
}
