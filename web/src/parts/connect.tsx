/** Connecting an account at a provider: the person consents there and comes back. */

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { get, url, type Problem } from "../lib/api";
import { Button, Dialog, Refused, Twin } from "./basic";
import { Buttons } from "./form";

export interface Provider {
  provider: string;
  title: string;
  kind: string;
  configured: boolean;
  scopes: string[];
}

interface Wanted {
  provider: string;
  connection: string;
  scopes: string;
}

/** Ask where the provider asks the person, and go there. */
function useConsent() {
  return useMutation<{ address: string }, Problem, Wanted>({
    mutationFn: ({ provider, connection, scopes }) => get(url(`/api/v1/auth/${provider}/start`, { connection, scopes }), undefined, { accept: "application/json" }),
    onSuccess: ({ address }) => window.location.assign(address),
    networkMode: "always",
  });
}

export function Connect({ provider, onClose }: { provider: Provider; onClose: () => void }) {
  const [name, setName] = useState(provider.provider);
  const [scopes, setScopes] = useState(provider.scopes.join(" "));
  const begin = useConsent();
  return (
    <Dialog title={`Connect ${provider.title}`} onClose={onClose}>
      <form className="stack" noValidate onSubmit={(event) => { event.preventDefault(); begin.mutate({ provider: provider.provider, connection: name, scopes }); }}>
        <label className="field"><span className="field-name">Name</span><input value={name} onChange={(event) => setName(event.target.value)} /></label>
        <label className="field"><span className="field-name">Scopes</span>
          <textarea rows={3} value={scopes} onChange={(event) => setScopes(event.target.value)} />
          <span className="hint">What workflows may do with the account, separated by spaces.</span>
        </label>
        {begin.error && <Refused by={begin.error} />}
        <Buttons busy={begin.isPending} main={`Continue to ${provider.title}`} onCancel={onClose} />
        <Twin cli={`workflow-scheduler connection authorize ${name || "NAME"} --provider ${provider.provider}`} />
      </form>
    </Dialog>
  );
}

export function Reconnect({ name, provider, scopes }: { name: string; provider: string; scopes: string }) {
  const begin = useConsent();
  return (
    <>
      <Button kind="quiet" label={`Reconnect ${name}`} disabled={begin.isPending} onClick={() => begin.mutate({ provider, connection: name, scopes })}>Reconnect</Button>
      {begin.error && <Refused by={begin.error} />}
    </>
  );
}
