/** Where a provider's answer arrives: finished as the person who is signed in here, whom the callback cannot know. */

import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { get, url, type Problem } from "../lib/api";
import { Button, LinkButton, Loading, Page, Panel, Refused } from "../parts/basic";

interface Finished {
  return_to: string;
}

const SIGNED_OUT = 401;

export default function Consent() {
  const [told] = useState(() => new URLSearchParams(window.location.hash.slice(1)));
  const provider = told.get("provider");
  const begun = useRef(false);
  const finish = useMutation<Finished, Problem, string>({
    mutationFn: (name) => get(url(`/api/v1/auth/${encodeURIComponent(name)}/callback`, { code: told.get("code"), state: told.get("state") })),
    onSuccess: ({ return_to }) => window.location.replace(return_to),
    networkMode: "always",
  });
  useEffect(() => {
    if (begun.current || !provider) return;
    begun.current = true;
    window.history.replaceState(null, "", window.location.pathname);  // the code belongs into no history
    finish.mutate(provider);
  }, [finish, provider]);
  const out = finish.error?.status === SIGNED_OUT;
  return (
    <Page title="Connecting an account">
      <Panel>
        {!provider && <p>There is nothing to finish here. Begin at Connections.</p>}
        {provider && !finish.error && <Loading what="Connecting" />}
        {finish.error && <Refused by={finish.error} />}
        {out && <p>Sign in as who began this, and finish it within ten minutes.</p>}
        {(finish.error ?? !provider) && (
          <div className="actions">
            {provider && out && <Button kind="main" onClick={() => finish.mutate(provider)}>Finish connecting</Button>}
            <LinkButton href="/connections">Connections</LinkButton>
          </div>
        )}
      </Panel>
    </Page>
  );
}
