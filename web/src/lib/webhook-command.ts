/** The command of a shell that sends to a webhook what it takes, signed as it asks. */

import type { MadeSecret } from "./secrets";

interface Signature {
  scheme?: string;
  secret?: string | null;
  header?: string | null;
  prefix?: string;
  encoding?: string;
  timestamp_header?: string | null;
  signed?: string | null;
}

const HEX = (digest: string) => `openssl dgst -${digest} -hmac "$SECRET" -hex | sed 's/^.* //'`;
const BASE64 = (digest: string) => `openssl dgst -${digest} -hmac "$SECRET" -binary | base64 -w0`;
const HMAC = /^hmac-(sha\d+)$/;

/** The headers that prove where a request comes from, and what has to be set before them. */
function proof(signature: Signature): { before: string[]; options: string[] } {
  const scheme = signature.scheme ?? "none";
  const digest = HMAC.exec(scheme)?.[1];
  if (digest) return byHmac(signature, digest);
  const now = "NOW=$(date +%s)";
  switch (scheme) {
    case "github":
      return { before: [], options: [`-H "X-GitHub-Delivery: $(date +%s%N)"`, `-H "X-Hub-Signature-256: sha256=$(printf %s "$BODY" | ${HEX("sha256")})"`] };
    case "slack":
      return { before: [now], options: [`-H "X-Slack-Request-Timestamp: $NOW"`, `-H "X-Slack-Signature: v0=$(printf %s "v0:$NOW:$BODY" | ${HEX("sha256")})"`] };
    case "stripe":
      return { before: [now], options: [`-H "Stripe-Signature: t=$NOW,v1=$(printf %s "$NOW.$BODY" | ${HEX("sha256")})"`] };
    case "standard-webhooks":
      return { before: [now], options: [`-H "webhook-id: $NOW"`, `-H "webhook-timestamp: $NOW"`, `-H "webhook-signature: v1,$(printf %s "$NOW.$NOW.$BODY" | ${BASE64("sha256")})"`] };
    case "pagerduty":
      return { before: [], options: [`-H "X-PagerDuty-Signature: v1=$(printf %s "$BODY" | ${HEX("sha256")})"`] };
    case "shopify":
      return { before: [], options: [`-H "X-Shopify-Webhook-Id: $(date +%s%N)"`, `-H "X-Shopify-Hmac-SHA256: $(printf %s "$BODY" | ${BASE64("sha256")})"`] };
    case "gitlab":
      return { before: [], options: [`-H "X-Gitlab-Token: $SECRET"`] };
    case "api-key":
      return { before: [], options: [`-H "${signature.header ?? "X-API-Key"}: ${signature.prefix ?? ""}$SECRET"`] };
    case "basic":
      return { before: [], options: [`-u "$SECRET"`] };
    case "jwt":
      return { before: [], options: [`-H "Authorization: Bearer $TOKEN"`] };
    default:
      return { before: [], options: [] };
  }
}

function byHmac({ header, prefix = "", encoding, timestamp_header: stamp, signed }: Signature, digest: string): { before: string[]; options: string[] } {
  const text = (signed ?? (stamp ? "{timestamp}.{body}" : "{body}")).replaceAll("{body}", "$BODY").replaceAll("{timestamp}", "$NOW").replaceAll("{id}", "$NOW");
  const made = `$(printf %s "${text}" | ${encoding === "base64" ? BASE64(digest) : HEX(digest)})`;
  return {
    before: text.includes("$NOW") ? ["NOW=$(date +%s)"] : [],
    options: [
      ...(signed?.includes("{id}") ? [`-H "webhook-id: $NOW"`] : []),
      ...(stamp ? [`-H "${stamp}: $NOW"`] : []),
      `-H "${header ?? "X-Signature"}: ${prefix}${made}"`,
    ],
  };
}

/** The command for a webhook with this configuration; a secret that was just made stands in it. */
export function webhookCommand(address: string, config: Record<string, unknown>, secrets: MadeSecret[]): string {
  const given = config["signature"];
  const signature: Signature = typeof given === "string" ? { scheme: given } : ((given as Signature | undefined) ?? {});
  const { before, options } = proof(signature);
  const value = secrets.find((one) => one.name === signature.secret)?.value ?? `the value of ${signature.secret ?? "the secret"}`;
  const secret = signature.scheme === "none" || signature.scheme === "jwt" ? [] : [`SECRET='${value}'`];
  const [method] = Array.isArray(config["methods"]) ? (config["methods"] as string[]) : [];
  const send = ["curl", ...(method && method !== "POST" ? [`-X ${method}`] : []), "-H 'content-type: application/json'", ...options, `--data-binary "$BODY"`, `'${address}'`];
  return [...secret, `BODY='{"id": "1"}'`, ...before, send.join(" ")].join("; ");
}
