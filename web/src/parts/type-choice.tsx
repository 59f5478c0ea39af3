/** The choice of a trigger type: none, the three that people ask for most, then every other one. */

import { useId } from "react";
import type { TriggerType } from "../lib/types";

const FIRST: [string, string][] = [["", "No trigger"], ["event", "Event"], ["once", "One-time schedule"], ["cron", "Recurring schedule"]];

export function TypeChoice({ types, value, onChange }: { types: TriggerType[]; value: string; onChange: (name: string) => void }) {
  const id = useId();
  const rest = types.filter((one) => !FIRST.some(([name]) => name === one.name)).sort((one, other) => one.title.localeCompare(other.title));
  const choices: [string, string][] = [...FIRST.filter(([name]) => name === "" || types.some((one) => one.name === name)), ...rest.map((one): [string, string] => [one.name, one.title])];
  return (
    <fieldset className="type-choice">
      <legend className="field-name">Trigger type</legend>
      {choices.map(([name, title]) => (
        <label key={name} className={value === name ? "choice picked" : "choice"}>
          <input type="radio" name={id} value={name} checked={value === name} onChange={() => onChange(name)} />
          {title}
        </label>
      ))}
    </fieldset>
  );
}
