// A provider's webhook, through your Supabase project: …/webhook-relay/stripe goes to the
// connection "stripe". Bellhop checks the signature, so the body goes on byte for byte and
// every header of the provider with it; deploy with --no-verify-jwt.
//
// A provider takes any 2xx for "delivered" and sends anything else again. So success is
// answered only when Bellhop said that it has stored the event, in its own words.
import { after, forward, passOn, problem, readBody, tooLarge, trace as traceOf } from "../_shared/bellhop.ts";

/** Providers give up after 10 to 20 seconds and then count the delivery as failed. */
const TIMEOUT_MS = 9_000;

Deno.serve(async (req) => {
  const trace = traceOf(req);
  const connection = after(req, "webhook-relay").split("?")[0].slice(1);
  if (!/^[A-Za-z0-9_.-]{1,100}$/.test(connection)) {
    return problem(404, "not_found", "The address does not name a connection.", "Use …/webhook-relay/NAME.", false, trace);
  }
  if (req.method !== "POST") {
    return problem(405, "method_not_allowed", "A webhook is a POST.", "Use POST.", false, trace);
  }
  const body = await readBody(req);
  if (body === null) return tooLarge(trace);
  const answer = await forward({
    path: "/webhooks/" + encodeURIComponent(connection), method: "POST", headers: passOn(req.headers, trace), body, trace,
    timeoutMs: TIMEOUT_MS,
  });
  if (!answer.ok) return answer;
  const text = await answer.text();
  let status: unknown;
  try {
    status = JSON.parse(text).status;
  } catch {
    status = undefined;
  }
  if (status !== "accepted" && status !== "duplicate") {
    return problem(502, "unavailable", "The answer does not say that the event was stored.", "Send the same event again.", true, trace);
  }
  return new Response(text, { status: 200, headers: answer.headers });
});
