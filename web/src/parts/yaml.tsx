/** A document in YAML, and what is wrong with it, by line and column. */

import type { FieldError } from "../lib/api";

export function YamlEditor({ value, onChange, label, rows = 20 }: { value: string; onChange: (value: string) => void; label: string; rows?: number }) {
  return (
    <textarea
      className="code"
      aria-label={label}
      spellCheck={false}
      rows={rows}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

export function Errors({ errors, detail }: { errors: FieldError[]; detail?: string | undefined }) {
  if (errors.length === 0 && !detail) return null;
  return (
    <div role="alert" className="errors">
      {errors.length === 0 && <p className="field-error">{detail}</p>}
      <ul>
        {errors.map((one, index) => (
          <li key={index} className="field-error">{one.line ? `line ${one.line}, column ${one.column}: ` : ""}<code>{one.field}</code>: {one.message}</li>
        ))}
      </ul>
    </div>
  );
}
