/** Times as people read them; every one shows its zone. */

export const viewerZone = Intl.DateTimeFormat().resolvedOptions().timeZone;

const formats = new Map<string, Intl.DateTimeFormat>();

function format(zone: string): Intl.DateTimeFormat {
  let found = formats.get(zone);
  if (!found) {
    found = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, year: "numeric", month: "short", day: "2-digit", hour: "2-digit", minute: "2-digit",
      second: "2-digit", hourCycle: "h23",
    });
    formats.set(zone, found);
  }
  return found;
}

/** An instant in a zone: `27 Nov 2026, 02:30:00 EST`. */
export function absolute(iso: string, zone = viewerZone): string {
  try {
    const at = new Date(iso);
    return `${format(zone).format(at)} ${abbreviation(at, zone)}`;
  } catch {
    return iso;
  }
}

/** The name of a zone at an instant: EST, CET, GMT+5:30. */
function abbreviation(at: Date, zone: string): string {
  const short = (locale: string) => at.toLocaleTimeString(locale, { timeZone: zone, timeZoneName: "short" }).split(" ").at(-1) ?? zone;
  const american = short("en-US");
  return american.startsWith("GMT") ? short("en-GB") : american;
}

const UNITS: [number, string][] = [[86_400, "d"], [3600, "h"], [60, "m"], [1, "s"]];

/** A length of time in at most two units: `2 m 5 s`, `0.4 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 0) return `-${duration(-milliseconds)}`;
  if (milliseconds < 1) return "0 ms";
  if (milliseconds < 1000) return milliseconds < 100 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds < 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  let left = Math.round(milliseconds / 1000);
  const parts: string[] = [];
  for (const [size, unit] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    left -= count * size;
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break;
  }
  return parts.join(" ");
}

/** How far an instant is from `now`: `in 2 m`, `5 s ago`. */
export function relative(iso: string, now: number): string {
  const distance = new Date(iso).getTime() - now;
  if (Math.abs(distance) < 1000) return "now";
  const whole = duration(Math.round(Math.abs(distance) / 1000) * 1000).replace(/^(\d+)\.0 s$/, "$1 s");
  const text = distance < 0 ? whole.split(" ").slice(0, 2).join(" ") : whole;
  return distance > 0 ? `in ${text}` : `${text} ago`;
}
