import { useState } from "react";
import { useLocation, useSearch } from "wouter";
import { send, type FieldError, Problem } from "../lib/api";
import { useGet } from "../lib/hooks";
import type { Page as Items, TriggerType, Workflow } from "../lib/types";
import { Button, LinkButton, Page, Panel, Told, Twin } from "../parts/basic";
import { Errors, YamlEditor } from "../parts/yaml";
import { whole } from "../parts/controls";
import type { Values } from "../parts/form";
import { SchedulePreview } from "../parts/preview";
import { elsewhere, TriggerForm } from "../parts/trigger-form";
import { makeSecrets, remember } from "../lib/secrets";

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

function useCreate(): { errors: FieldError[]; detail: string; busy: boolean; create: (sending: { body?: unknown; yaml?: string }, deploy: boolean, made?: (workflow: Workflow) => Promise<void>) => Promise<void> } {
  const [, navigate] = useLocation();
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  async function create(sending: { body?: unknown; yaml?: string }, deploy: boolean, done?: (workflow: Workflow) => Promise<void>): Promise<void> {
    setBusy(true);
    setProblem(null);
    try {
      const made = await send<Workflow>("/api/v1/workflows", sending);
      await done?.(made);
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
  const named = kind.replaceAll("_", "-");
  const trigger = kind ? { triggers: { [named]: { type: kind, ...values } } } : {};
  const body = { name, ...(about ? { description: about } : {}), ...trigger, jobs: { first: { uses: "noop" } } };
  const wrongName = errors.find((one) => one.field === "name");
  const rest = elsewhere(type, errors.filter((one) => one !== wrongName));

  async function withSecrets(workflow: Workflow): Promise<void> {
    if (type) remember(workflow.id, named, await makeSecrets(type, values));
  }

  return (
    <form className="columns" noValidate onSubmit={whole(() => void create({ body }, false, withSecrets))}>
      <div>
        <Panel title="Details">
          <div className="stack">
            <label className="field">
              <span className="field-name">Name <span className="muted">(required)</span></span>
              <input value={name} aria-invalid={wrongName ? true : undefined} onChange={(event) => setName(event.target.value)} placeholder="for example sales-report" />
              <span className="hint">Letters, digits, dashes, underscores and dots; no spaces.</span>
              {wrongName && <span className="field-error"><Told text={wrongName.message} /></span>}
            </label>
            <label className="field">
              <span className="field-name">Description</span>
              <input value={about} onChange={(event) => setAbout(event.target.value)} />
            </label>
            <Errors errors={rest.map(({ field, message }) => ({ field, message }))} detail={errors.length ? "" : detail} />
            {errors.length > 0 && rest.length === 0 && <p className="field-error" role="alert">It was not made: see the {errors.length === 1 ? "marked field" : `${errors.length} marked fields`}.</p>}
            <div className="actions"><Button type="submit" kind="main" disabled={busy}>Create, then add jobs</Button></div>
          </div>
        </Panel>
        {type?.shape === "timer" && <SchedulePreview type={kind} values={values} />}
      </div>
      <Panel title="What starts it (optional)">
        <div className="stack">
          <TriggerForm types={types.data?.items ?? []} kind={kind} owner={name} values={values} errors={errors} onKind={(next, begun) => { setKind(next); setValues(begun); }} onChange={setValues} />
        </div>
      </Panel>
    </form>
  );
}
