/** Fires per hour over days, as shades with their numbers. */

const STEPS = 5;

export function HeatMap({ hours }: { hours: { start: string; fires: number }[] }) {
  const days = new Map<string, number[]>();
  for (const one of hours) {
    const at = new Date(one.start);
    const day = at.toLocaleDateString("en-GB", { weekday: "short", day: "2-digit", month: "short" });
    const row = days.get(day) ?? Array.from({ length: 24 }, () => 0);
    row[at.getHours()] = (row[at.getHours()] ?? 0) + one.fires;
    days.set(day, row);
  }
  const most = Math.max(1, ...hours.map((one) => one.fires));
  return (
    <div className="table-box" role="group" aria-label="Fires per hour" tabIndex={0}>
      <table className="heat">
        <thead>
          <tr><th scope="col">Day</th>{Array.from({ length: 24 }, (_, hour) => <th key={hour} scope="col">{hour}</th>)}</tr>
        </thead>
        <tbody>
          {[...days].map(([day, row]) => (
            <tr key={day}>
              <th scope="row">{day}</th>
              {row.map((fires, hour) => <td key={hour} className={`heat-${fires === 0 ? 0 : Math.max(1, Math.ceil((fires / most) * STEPS))}`}>{fires || ""}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
