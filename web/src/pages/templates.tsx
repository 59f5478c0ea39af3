import { useState } from "react";
import { useLocation } from "wouter";
import { useFilters, usePages, useSend } from "../lib/hooks";
import type { Schema } from "../lib/types";
import { Button, Dialog, Empty, LinkButton, Loaded, Page, Panel, Twin } from "../parts/basic";
import { whole } from "../parts/controls";
import { Buttons, SchemaForm, type Values } from "../parts/form";
import { TypeMark } from "../parts/icon";

interface Template {
  id: string;
  name: string;
  description: string;
  category: string;
  builtin: boolean;
  input_schema: Schema | null;
  triggers: Record<string, string>;
}

export default function Templates() {
  const [filters, change] = useFilters(["category"]);
  const list = usePages<Template>("/api/v1/templates", filters);
  const [using, use] = useState<{ template: Template; way: "run" | "instantiate" } | null>(null);
  return (
    <Page title="Templates" about="Workflows that are ready: fill in what they ask for, and run them or make them yours.">
      {filters.category && <p className="row"><span>Category {filters.category}</span><Button onClick={() => change({ category: "" })}>Show all</Button></p>}
      <Loaded of={list}>
        {(items) => items.length === 0 ? <Panel><Empty title="There are no templates." /></Panel> : (
          <ul className="cards">
            {items.map((one) => (
              <li key={one.id} className="panel">
                <h2>{one.name}</h2>
                <p>{one.description}</p>
                <p className="row tight">
                  <Button kind="quiet" onClick={() => change({ category: one.category })}>{one.category}</Button>
                  {Object.values(one.triggers).map((type, index) => <TypeMark key={index} type={type} />)}
                </p>
                <div className="actions">
                  <Button kind="main" onClick={() => use({ template: one, way: "instantiate" })}>Make a workflow</Button>
                  <Button onClick={() => use({ template: one, way: "run" })}>Run once</Button>
                </div>
              </li>
            ))}
          </ul>
        )}
      </Loaded>
      {using && <Use {...using} onClose={() => use(null)} />}
    </Page>
  );
}

function Use({ template, way, onClose }: { template: Template; way: "run" | "instantiate"; onClose: () => void }) {
  const [input, setInput] = useState<Values>({});
  const [name, setName] = useState(template.name);
  const [, navigate] = useLocation();
  const [run, setRun] = useState<string | null>(null);
  const send = useSend<{ run_id?: string; id?: string; workflow_id?: string }>((value) => {
    if (way === "instantiate") navigate(`/workflows/${value.workflow_id ?? value.id ?? ""}`);
    else setRun(value.run_id ?? null);
  });
  const path = `/api/v1/templates/${template.name}/${way}`;
  const body = way === "run" ? { input } : { workflow: name, input, deploy: true };
  return (
    <Dialog title={way === "run" ? `Run ${template.name} once` : `Make a workflow of ${template.name}`} onClose={onClose}>
      {run ? <div className="stack"><p role="status">It has started.</p><LinkButton kind="main" href={`/runs/${run}`}>Open the run</LinkButton></div> : (
        <form className="stack" noValidate onSubmit={whole(() => send.mutate({ path, body }))}>
          {way === "instantiate" && <label className="field"><span className="field-name">Name of the workflow</span><input value={name} onChange={(event) => setName(event.target.value)} /></label>}
          {template.input_schema && <SchemaForm schema={template.input_schema} value={input} onChange={setInput} errors={send.error?.errors ?? []} />}
          {send.error && <p className="field-error" role="alert">{send.error.message}</p>}
          <Buttons busy={send.isPending} main={way === "run" ? "Run" : "Make and deploy"} onCancel={onClose} />
          <Twin cli={`workflow-scheduler template ${way === "run" ? "run" : "use"} ${template.name}`} path={path} sending={{ body }} />
        </form>
      )}
    </Dialog>
  );
}
