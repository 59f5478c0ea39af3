/** What a trigger is made of: its type and the form of that type, for new triggers and for those that are there. */

import { useMemo, useState, type ReactNode } from "react";
import type { FieldError } from "../lib/api";
import type { Schema, TriggerType } from "../lib/types";
import { Button } from "./basic";
import { SchemaForm, unplaced, type Values } from "./form";
import { TypeChoice } from "./type-choice";

const OURS = ["type", "enabled"];
/** What goes with triggers that hear events only. */
const OF_EVENTS = ["debounce", "batch", "threshold", "absence", "throttle", "rate_limit", "unique", "ttl"];

/** The schema of a type, with what every trigger may have beside it, and the fields that it does not show. */
export function formOf(type: TriggerType | undefined): { schema: Schema | undefined; without: string[] } {
  if (!type) return { schema: undefined, without: OURS };
  const shared = type.shared as Schema;
  const schema = { ...type.schema, properties: { ...type.schema.properties, ...shared.properties }, $defs: { ...type.schema.$defs, ...shared.$defs } };
  return { schema, without: type.shape === "timer" ? [...OURS, ...OF_EVENTS] : OURS };
}

/** What of a refusal stands at no field of the form. */
export function elsewhere(type: TriggerType | undefined, errors: FieldError[]): FieldError[] {
  const { schema, without } = formOf(type);
  return unplaced(schema, errors, without);
}

/** What a new trigger of a type begins with: where something must be given, its first example; a webhook has an address and a secret of its own. */
export function beginning(type: TriggerType | undefined, owner: string): Values {
  if (!type || !(type.schema.required ?? []).length) return {};
  const { config = {} } = (type.examples[0] as { config?: Values } | undefined) ?? {};
  const signature = config["signature"] as Values | undefined;
  if (!signature?.["secret"]) return config;
  const secret = `${owner || "new"}_${type.name}`.replace(/[^A-Za-z0-9]+/g, "_").toLowerCase();
  const path = owner.replace(/[^A-Za-z0-9]+/g, "-").toLowerCase();
  return { ...config, ...(path && config["path"] ? { path } : {}), signature: { ...signature, secret } };
}

/** A configuration in the words of the form: the short ways to name one workflow or several have no fields. */
export function spelledOut(kind: string, values: Values): Values {
  if (kind !== "workflow") return values;
  const { workflow, after, condition, ...rest } = values;
  if (typeof workflow === "string") return { ...rest, any: [{ workflow, ...(condition ? { condition } : {}) }] };
  const known = { ...rest, ...(condition === undefined ? {} : { condition }) };
  if (Array.isArray(after)) return { ...known, all: after };
  if (typeof after === "string") return /\s/.test(after) ? { ...known, when: after } : { ...known, all: [after] };
  return known;
}

interface TriggerFormProps {
  types: TriggerType[];
  kind: string;
  /** Whose trigger it is, for the name of its secret. */
  owner: string;
  values: Values;
  errors: FieldError[];
  onKind: (kind: string, values: Values) => void;
  onChange: (values: Values) => void;
  /** Whether it has a type that is seldom changed. */
  settled?: boolean;
  children?: ReactNode;
}

export function TriggerForm({ types, kind, owner, values, errors, onKind, onChange, settled = false, children }: TriggerFormProps) {
  const [picked, setPicked] = useState(0);
  const type = types.find((one) => one.name === kind);
  const { schema, without } = useMemo(() => formOf(type), [type]);

  /** Fill the form anew: what its fields hold of a text that is being written is not of the example. */
  function pick(config: Values): void {
    setPicked(picked + 1);
    onChange(spelledOut(kind, config));
  }

  const choice = <TypeChoice types={types} value={kind} onChange={(next) => onKind(next, beginning(types.find((one) => one.name === next), owner))} />;
  return (
    <>
      {settled ? <details className="more-fields"><summary>Trigger type: {type?.title ?? kind}</summary>{choice}</details> : choice}
      {type && <p className="muted">{type.summary}</p>}
      {children}
      {type && type.examples.length > 0 && <Examples type={type} onPick={pick} />}
      {schema && <SchemaForm key={`${kind} ${picked}`} {...{ schema, errors, without }} value={values} onChange={onChange} />}
    </>
  );
}

function Examples({ type, onPick }: { type: TriggerType; onPick: (values: Values) => void }) {
  const examples = type.examples as { title?: string; config?: Values }[];
  return (
    <div className="row tight">
      <span className="muted">Start from:</span>
      {examples.filter((one) => one.config).map((one, index) => <Button key={index} onClick={() => onPick(one.config ?? {})}>{one.title ?? `example ${index + 1}`}</Button>)}
    </div>
  );
}
