/** Tables: short ones as they are, long ones with only the rows in view. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useRef, type ReactNode } from "react";

export interface Column<T> {
  name: string;
  cell: (row: T) => ReactNode;
  width?: string;
}

interface TableProps<T> {
  label: string;
  rows: T[];
  columns: Column<T>[];
  id: (row: T) => string;
  /** Asked for more rows when the end comes into view. */
  more?: (() => void) | undefined;
}

const ROW_PIXELS = 44;
const VIRTUAL_FROM = 60;

export function Table<T>(props: TableProps<T>) {
  return props.rows.length >= VIRTUAL_FROM || props.more ? <LongTable {...props} /> : <ShortTable {...props} />;
}

function ShortTable<T>({ label, rows, columns, id }: TableProps<T>) {
  return (
    <div className="table-box" role="group" aria-label={label} tabIndex={0}>
      <table>
        <caption className="hidden">{label}</caption>
        <thead>
          <tr>{columns.map((one) => <th key={one.name} scope="col">{one.name || <span className="hidden">Actions</span>}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={id(row)}>{columns.map((one) => <td key={one.name}>{one.cell(row)}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LongTable<T>({ label, rows, columns, id, more }: TableProps<T>) {
  const box = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({ count: rows.length, getScrollElement: () => box.current, estimateSize: () => ROW_PIXELS, overscan: 12 });
  const shown = virtual.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= rows.length - 1) more();
  }, [more, last, rows.length]);
  const template = columns.map((one) => one.width ?? "minmax(8rem, 1fr)").join(" ");
  return (
    <div ref={box} className="grid-box" role="group" aria-label={label} tabIndex={0}>
      <div className="grid" role="table" aria-label={label} aria-rowcount={rows.length + 1}>
        <div className="grid-row grid-head" role="row" aria-rowindex={1} style={{ gridTemplateColumns: template }}>
          {columns.map((one) => <div key={one.name} role="columnheader">{one.name || <span className="hidden">Actions</span>}</div>)}
        </div>
        <div className="grid-body" role="rowgroup" style={{ height: virtual.getTotalSize() }}>
          {shown.map((item) => {
            const row = rows[item.index] as T;
            const place = { gridTemplateColumns: template, transform: `translateY(${item.start}px)`, height: ROW_PIXELS };
            return (
              <div key={id(row)} className="grid-row placed" role="row" aria-rowindex={item.index + 2} style={place}>
                {columns.map((one) => <div key={one.name} role="cell">{one.cell(row)}</div>)}
              </div>
            );
          })}
        </div>
      </div>
    </div>
  );
}
