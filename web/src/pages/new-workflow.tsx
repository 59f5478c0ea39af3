import { useState } from "react";
import { useLocation, useSearch } from "wouter";
import { send, type FieldError, Problem } from "../lib/api";
import { useGet } from "../lib/hooks";
import type { Page as Items, TriggerType, Workflow } from "../lib/types";
import { Button, LinkButton, Page, Panel, Twin } from "../parts/basic";
import { Errors, YamlEditor } from "../parts/yaml";
import { SchemaForm, type Values } from "../parts/form";
import { TypeChoice } from "../parts/type-choice";

const STARTER = `name: my-workflow
description: What it is for.
triggers:
  by-hand: {type: manual}
jobs:
  first: {uses: noop}
  second: {needs: [first], uses: noop}
`;

export default function NewWorkflow() {
  const fromYaml = new URLSearchParams(useSearch()).get("from") === "yaml";
  const [way, setWay] = useState<"form" | "yaml">(fromYaml ? "yaml" : "form");
  return (
    <Page title="New workflow" about="Details, what starts it, and its jobs." actions={<LinkButton href="/templates">From a template</LinkButton>}>
      <div className="tabs" role="group" aria-label="How to write it">
        <Button kind={way === "form" ? "main" : "plain"} onClick={() => setWay("form")}>Form</Button>
        <Button kind={way === "yaml" ? "main" : "plain"} onClick={() => setWay("yaml")}>YAML</Button>
      </div>
      {way === "yaml" ? <FromYaml /> : <FromForm />}
    </Page>
  );
}

function useCreate(): { errors: FieldError[]; detail: string; busy: boolean; create: (sending: { body?: unknown; yaml?: string }, deploy: boolean) => Promise<void> } {
  const [, navigate] = useLocation();
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  async function create(sending: { body?: unknown; yaml?: string }, deploy: boolean): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      const made = await send<Workflow>("/api/v1/workflows", sending);
      if (deploy) await send(`/api/v1/deployment/workflows/${made.id}/deploy`, { body: {} });
      navigate(deploy ? `/workflows/${made.id}` : `/workflows/${made.id}/edit`);
    } catch (error) {
      if (error instanceof Problem) setProblem(error);
      else throw error;
    } finally {
      setBusy(false);
    }
  }
  return { errors: problem?.errors ?? [], detail: problem?.message ?? "", busy, create };
}

function FromYaml() {
  const [text, setText] = useState(STARTER);
  const { errors, detail, busy, create } = useCreate();
  return (
    <Panel title="The document">
      <YamlEditor value={text} onChange={setText} label="Workflow as YAML" />
      <Errors errors={errors} detail={detail} />
      <div className="actions">
        <Button kind="main" disabled={busy} onClick={() => void create({ yaml: text }, true)}>Create and deploy</Button>
        <Button disabled={busy} onClick={() => void create({ yaml: text }, false)}>Create</Button>
      </div>
      <Twin cli="workflow-scheduler deploy my-workflow.yaml" />
    </Panel>
  );
}

function FromForm() {
  const types = useGet<Items<TriggerType>>("/api/v1/trigger-types");
  const [name, setName] = useState("");
  const [about, setAbout] = useState("");
  const [kind, setKind] = useState("");
  const [values, setValues] = useState<Values>({});
  const { errors, detail, busy, create } = useCreate();
  const type = types.data?.items.find((one) => one.name === kind);
  const trigger = kind ? { triggers: { [kind.replaceAll("_", "-")]: { type: kind, ...values } } } : {};
  const body = { name, ...(about ? { description: about } : {}), ...trigger, jobs: { first: { uses: "noop" } } };
  const wrongName = errors.find((one) => one.field === "name");
  return (
    <form className="columns" noValidate onSubmit={(submitted) => { submitted.preventDefault(); void create({ body }, false); }}>
      <Panel title="Details">
        <div className="stack">
          <label className="field">
            <span className="field-name">Name <span className="muted">(required)</span></span>
            <input value={name} aria-invalid={wrongName ? true : undefined} onChange={(event) => setName(event.target.value)} placeholder="sales-report" />
            <span className="hint">Small letters, digits and dashes.</span>
            {wrongName && <span className="field-error">{wrongName.message}</span>}
          </label>
          <label className="field">
            <span className="field-name">Description</span>
            <input value={about} onChange={(event) => setAbout(event.target.value)} />
          </label>
          <Errors errors={errors.filter((one) => one !== wrongName)} detail={errors.length ? "" : detail} />
          <div className="actions"><Button type="submit" kind="main" disabled={busy}>Create, then add jobs</Button></div>
        </div>
      </Panel>
      <Panel title="What starts it (optional)">
        <div className="stack">
          <TypeChoice types={types.data?.items ?? []} value={kind} onChange={(next) => { setKind(next); setValues({}); }} />
          {type && <SchemaForm key={kind} schema={type.schema} value={values} onChange={setValues} errors={errors} />}
        </div>
      </Panel>
    </form>
  );
}
