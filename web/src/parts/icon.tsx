/** Line drawings, 24 by 24, in the colour of the text around them. */

const PATHS: Record<string, string> = {
  home: "M3 11l9-8 9 8M5 9.5V21h14V9.5M10 21v-6h4v6",
  workflows: "M4 4h6v6H4zM14 14h6v6h-6zM10 7h4a3 3 0 013 3v4",
  runs: "M6 4l14 8-14 8z",
  event: "M13 2L4 14h7l-1 8 9-12h-7z",
  clock: "M12 7v5l3.5 2M12 21a9 9 0 110-18 9 9 0 010 18z",
  approvals: "M9 12l2 2 4-5M12 21a9 9 0 110-18 9 9 0 010 18z",
  letters: "M3 6h18v12H3zM3 7l9 6 9-6",
  connections: "M9 15l6-6M7 13l-2 2a4 4 0 005.5 5.5l2-2M17 11l2-2a4 4 0 00-5.500-5.5l-2 2",
  templates: "M4 4h16v5H4zM4 13h7v7H4zM15 13h5v7h-5z",
  metrics: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  settings: "M4 7h10M18 7h2M4 17h2M10 17h10M14 4.500v5M6 14.500v5",
  calendar: "M4 6h16v14H4zM4 10h16M8 3v4M16 3v4",
  repeat: "M4 11a7 7 0 0112-4l3 3M19 5v5h-5M20 13a7 7 0 01-12 4l-3-3M5 19v-5h5",
  hand: "M8 12V5.500a1.500 1.500 0 013 0V11M11 11V4a1.500 1.500 0 013 0v7M14 11V5.500a1.500 1.500 0 013 0V14a7 7 0 01-7 7c-3 0-4.500-2-6-5l-1-2.500a1.500 1.500 0 012.600-1.200L8 14.500",
  push: "M3 12h12M10 6l6 6-6 6M20 4v16",
  branch: "M7 4v10M7 20a2 2 0 100-4 2 2 0 000 4zM17 8a2 2 0 100-4 2 2 0 000 4zM17 8c0 5-10 3-10 8",
  chat: "M4 5h16v11H9l-5 4z",
  table: "M4 5h16v14H4zM4 10h16M10 5v14",
  stream: "M3 8c3-3 6 3 9 0s6 3 9 0M3 16c3-3 6 3 9 0s6 3 9 0",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  search: "M11 18a7 7 0 110-14 7 7 0 010 14zM16 16l5 5",
};

const OF_TYPE: Record<string, string> = {
  cron: "clock", once: "clock", interval: "repeat", rrule: "calendar", manual: "hand", webhook: "push", github: "branch", slack: "chat",
  email: "letters", google_calendar: "calendar", http_poll: "repeat", sql_poll: "table", workflow: "workflows", event: "event",
  file: "file", s3: "file", gcs: "file",
};

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" strokeWidth="2" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true">
      <path d={PATHS[name] ?? PATHS["stream"]} />
    </svg>
  );
}

/** A trigger type as a drawing and its word. */
export function TypeMark({ type }: { type: string }) {
  return (
    <span className="type-mark">
      <Icon name={OF_TYPE[type] ?? "stream"} size={15} /> {type}
    </span>
  );
}
