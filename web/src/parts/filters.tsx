/** What narrows a list down; the address of the page holds the values. */

interface FilterProps {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

export function TextFilter({ label, value, onChange }: FilterProps) {
  return <label><span className="hidden">{label}</span><input placeholder={label} value={value} onChange={(event) => onChange(event.target.value)} /></label>;
}

interface ChoiceProps extends FilterProps {
  options: [value: string, title: string][];
  /** The choice that narrows nothing down; null for a list that always shows one of the options. */
  every?: string | null;
}

export function ChoiceFilter({ label, value, onChange, options, every = `Every ${label.toLowerCase()}` }: ChoiceProps) {
  return (
    <label>
      <span className="hidden">{label}</span>
      <select value={value} onChange={(event) => onChange(event.target.value)}>
        {every !== null && <option value="">{every}</option>}
        {options.map(([one, title]) => <option key={one} value={one}>{title}</option>)}
      </select>
    </label>
  );
}
