/** Forms of what the API takes, from the schemas of its OpenAPI document. */

import { useGet } from "../lib/hooks";
import type { FieldError } from "../lib/api";
import type { Schema } from "../lib/types";
import { errorOf, SchemaForm, type Values } from "./form";

interface OpenApi {
  components: { schemas: Record<string, Schema> };
}

/** The schema of a body, by its name in the OpenAPI document. */
export function useBody(name: string) {
  const found = useGet<OpenApi>("/openapi.json");
  const schemas = found.data?.components.schemas;
  return { ...found, data: schemas && { ...schemas[name], $defs: schemas } };
}

interface BodyFormProps {
  schema: Schema;
  /** The fields that are always in view, in this order. */
  first: string[];
  without?: string[];
  value: Values;
  onChange: (value: Values) => void;
  errors: FieldError[];
}

export function BodyForm({ schema, first, without = [], value, onChange, errors }: BodyFormProps) {
  const rest = Object.keys(schema.properties ?? {}).filter((name) => !first.includes(name) && !without.includes(name));
  const draw = (names: string[]) => inFours(names).map((some) => <SchemaForm key={some.join()} schema={part(schema, some)} value={value} onChange={onChange} errors={errors} />);
  return (
    <>
      {draw(first)}
      {rest.length > 0 && (
        <details className="more-fields" open={rest.some((name) => errorOf(errors, name)) || undefined}>
          <summary>More settings ({rest.length})</summary>
          <div className="stack">{draw(rest)}</div>
        </details>
      )}
    </>
  );
}

/** A form shows four fields without folding any. */
function inFours(names: string[]): string[][] {
  return Array.from({ length: Math.ceil(names.length / 4) }, (_, index) => names.slice(index * 4, index * 4 + 4));
}

function part(schema: Schema, names: string[]): Schema {
  const properties = Object.fromEntries(names.map((name) => [name, schema.properties?.[name] ?? {}]));
  return { ...schema, properties, required: (schema.required ?? []).filter((name) => names.includes(name)) };
}
