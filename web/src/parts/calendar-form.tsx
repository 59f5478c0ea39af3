/** The form of a calendar, new or to be changed. */

import { useMemo, useState } from "react";
import { useSend } from "../lib/hooks";
import type { Schema } from "../lib/types";
import { Dialog, Loaded, Twin } from "./basic";
import { BodyForm, useBody } from "./body-form";
import { whole } from "./controls";
import { Buttons, type Values } from "./form";

export interface Calendar {
  name: string;
  version: number;
  description: string;
  holds: string;
  updated_at: string;
  updated_by: string | null;
}

export interface WholeCalendar extends Calendar {
  spec: Record<string, unknown>;
  holidays: string | null;
  used_by: { workflow: string; trigger: string }[];
}

interface FormProps {
  calendar?: WholeCalendar;
  onClose: () => void;
  onSaved: (calendar: Calendar) => void;
}

export function CalendarForm({ calendar, onClose, onSaved }: FormProps) {
  const body = useBody(calendar ? "CalendarBody" : "NewCalendar");
  const [values, setValues] = useState<Values>(() => (calendar ? written(calendar) : {}));
  const save = useSend<Calendar>((one) => { onClose(); onSaved(one); });
  const stretches = Array.isArray(values["dates"]) && values["dates"].some((one) => typeof one !== "string");
  const schema = useMemo(() => body.data && (stretches ? body.data : inLines(body.data)), [body.data, stretches]);
  const path = calendar ? `/api/v1/calendars/${calendar.name}` : "/api/v1/calendars";
  const method = calendar ? "PUT" : "POST";
  return (
    <Dialog title={calendar ? `Change ${calendar.name}` : "Add a calendar"} onClose={onClose}>
      <form className="stack" noValidate onSubmit={whole(() => save.mutate({ path, method, body: values, ...(calendar ? { headers: { "if-match": `"${calendar.version}"` } } : {}) }))}>
        <Loaded of={{ ...body, data: schema }}>
          {(one) => <BodyForm schema={one} first={[...(calendar ? [] : ["name"]), "description", "country", "weekdays", "dates"]} value={values} onChange={setValues} errors={save.error?.errors ?? []} />}
        </Loaded>
        {save.error && <p className="field-error" role="alert">{save.error.message}</p>}
        <Buttons busy={save.isPending} main={calendar ? "Save" : "Add"} onCancel={onClose} />
        <Twin path={path} sending={{ method, body: values }} />
      </form>
    </Dialog>
  );
}

/** What a calendar holds as people write it: a day and its name in one line. */
function written({ description, spec }: WholeCalendar): Values {
  const dates = spec["dates"] as { date: string; until?: string | null; name?: string | null }[] | undefined;
  const lines = dates?.map((one) => (one.until ? one : [one.date, one.name].filter(Boolean).join(" ")));
  return { ...(description ? { description } : {}), ...spec, ...(lines ? { dates: lines } : {}) };
}

/** Dates one in each line, as long as none is a stretch of several days. */
function inLines(schema: Schema): Schema {
  const dates: Schema = { title: "Dates", description: "2027-12-24, or 2027-12-24 Christmas Eve.", type: "array", items: { type: "string" } };
  return { ...schema, properties: { ...schema.properties, dates } };
}
