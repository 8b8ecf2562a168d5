// A lead from a form of your site: {name, email, phone, company, message}. It is handed in
// with your server key, so what says who the caller is (user_id) is taken out: a stranger
// must not speak for one of your users; and the address is marked as claimed, so that who
// types that of one of your customers changes nothing of what is known of them. The form sends one Idempotency-Key for each lead,
// crypto.randomUUID(), and the same one when it tries again.
import { browserFacing, forward, passOn, problem, readBody, tooLarge } from "../_shared/bellhop.ts";

const TIMEOUT_MS = 10_000;

Deno.serve(browserFacing("POST, OPTIONS", async (req, trace) => {
  if (req.method !== "POST") {
    return problem(405, "method_not_allowed", "A lead is a POST.", "Use POST.", false, trace);
  }
  const key = Deno.env.get("BELLHOP_SERVER_KEY");
  if (!key) {
    return problem(503, "unavailable", "This function has no key for Bellhop.",
      "Set the secret BELLHOP_SERVER_KEY and send the same request again.", true, trace);
  }
  const raw = await readBody(req);
  if (raw === null) return tooLarge(trace);
  let lead: unknown;
  try {
    lead = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
  } catch {
    lead = null;
  }
  if (typeof lead !== "object" || lead === null || Array.isArray(lead)) {
    return problem(422, "invalid", "The body is not a JSON object.", "Send name, email, phone, company and message as JSON.", false, trace);
  }
  delete (lead as Record<string, unknown>).user_id;
  (lead as Record<string, unknown>).claimed = true;
  const headers = passOn(req.headers, trace, ["idempotency-key"]);
  headers.set("authorization", "Bearer " + key);
  headers.set("content-type", "application/json");
  const body = new TextEncoder().encode(JSON.stringify(lead));
  return await forward({ path: "/v1/leads", method: "POST", headers, body, trace, timeoutMs: TIMEOUT_MS });
}));
