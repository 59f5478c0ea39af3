/** The routes. Each page is loaded when it is first opened. */

import { lazy, Suspense } from "react";
import { Route, Switch } from "wouter";
import { Frame } from "./frame";
import { Empty, Loading, LinkButton } from "./parts/basic";

const pages = {
  home: lazy(() => import("./pages/home")),
  workflows: lazy(() => import("./pages/workflows")),
  start: lazy(() => import("./pages/new-workflow")),
  workflow: lazy(() => import("./pages/workflow")),
  trigger: lazy(() => import("./pages/trigger")),
  edit: lazy(() => import("./pages/edit")),
  versions: lazy(() => import("./pages/versions")),
  runs: lazy(() => import("./pages/runs")),
  run: lazy(() => import("./pages/run")),
  events: lazy(() => import("./pages/events")),
  event: lazy(() => import("./pages/event")),
  upcoming: lazy(() => import("./pages/upcoming")),
  calendars: lazy(() => import("./pages/calendars")),
  calendar: lazy(() => import("./pages/calendar")),
  blackouts: lazy(() => import("./pages/blackouts")),
  backfills: lazy(() => import("./pages/backfills")),
  backfill: lazy(() => import("./pages/backfill")),
  explain: lazy(() => import("./pages/explain")),
  approvals: lazy(() => import("./pages/approvals")),
  connections: lazy(() => import("./pages/connections")),
  consent: lazy(() => import("./pages/consent")),
  templates: lazy(() => import("./pages/templates")),
  deadLetters: lazy(() => import("./pages/dead-letters")),
  metrics: lazy(() => import("./pages/metrics")),
  settings: lazy(() => import("./pages/settings")),
};

export function App() {
  return (
    <Frame>
      <Suspense fallback={<Loading />}>
        <Switch>
          <Route path="/">{() => <pages.home />}</Route>
          <Route path="/workflows">{() => <pages.workflows />}</Route>
          <Route path="/workflows/new">{() => <pages.start />}</Route>
          <Route path="/workflows/:id">{({ id }) => <pages.workflow key={id} id={id} />}</Route>
          <Route path="/workflows/:id/edit">{({ id }) => <pages.edit key={id} id={id} />}</Route>
          <Route path="/workflows/:id/versions">{({ id }) => <pages.versions key={id} id={id} />}</Route>
          <Route path="/workflows/:id/triggers/:tid">{({ id, tid }) => <pages.trigger key={id + tid} id={id} tid={tid} />}</Route>
          <Route path="/runs">{() => <pages.runs />}</Route>
          <Route path="/runs/:id">{({ id }) => <pages.run key={id} id={id} />}</Route>
          <Route path="/events">{() => <pages.events />}</Route>
          <Route path="/events/:id">{({ id }) => <pages.event key={id} id={id} />}</Route>
          <Route path="/upcoming">{() => <pages.upcoming />}</Route>
          <Route path="/upcoming/calendars">{() => <pages.calendars />}</Route>
          <Route path="/upcoming/calendars/:name">{({ name }) => <pages.calendar key={name} name={name} />}</Route>
          <Route path="/upcoming/blackouts">{() => <pages.blackouts />}</Route>
          <Route path="/upcoming/backfills">{() => <pages.backfills />}</Route>
          <Route path="/upcoming/backfills/:id">{({ id }) => <pages.backfill key={id} id={id} />}</Route>
          <Route path="/explain">{() => <pages.explain />}</Route>
          <Route path="/approvals">{() => <pages.approvals />}</Route>
          <Route path="/connections">{() => <pages.connections />}</Route>
          <Route path="/connections/consent">{() => <pages.consent />}</Route>
          <Route path="/templates">{() => <pages.templates />}</Route>
          <Route path="/dead-letters">{() => <pages.deadLetters />}</Route>
          <Route path="/metrics">{() => <pages.metrics />}</Route>
          <Route path="/settings/:part?">{({ part }) => <pages.settings part={part ?? "health"} />}</Route>
          <Route>
            {() => (
              <Empty title="There is no such page.">
                <LinkButton href="/">Home</LinkButton>
              </Empty>
            )}
          </Route>
        </Switch>
      </Suspense>
    </Frame>
  );
}
