// What the three functions share: they forward to Bellhop and keep nothing.
//
// Environment (supabase secrets set …):
//   BELLHOP_URL              https://chat.example.com, where Bellhop listens
//   BELLHOP_SERVER_KEY       for the lead function only
//   BELLHOP_ALLOWED_ORIGINS  https://app.example.com,https://www.example.com; browsers of others are refused
//
// Nothing is imported: Deno and Web APIs are all there is.

/** The most that is taken in, in bytes. Bellhop itself may take less and says so. */
const MAX_BODY = 1024 * 1024;

/** Headers that belong to one connection and are never passed on (RFC 9110, 7.6.1). */
const HOP_BY_HOP = new Set([
  "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
  "upgrade", "host", "content-length", "accept-encoding", "expect",
]);

/** What a browser may send and may read. */
const REQUEST_HEADERS = "authorization, apikey, x-client-info, content-type, accept, idempotency-key, traceparent, x-bellhop-visitor";
const RESPONSE_HEADERS = "traceparent, x-correlation-id, retry-after";

/** A request on its way to Bellhop. */
export interface Forward {
  path: string; // of Bellhop's API
  method: string;
  headers: Headers;
  body: Uint8Array | null;
  trace: string;
  timeoutMs: number; // until the answer is there; of a stream until it begins
  stream?: boolean; // the answer may be one that goes on
}

/** trace returns the caller's W3C traceparent when it can be used, else a new one. */
export function trace(req: Request): string {
  const given = req.headers.get("traceparent") ?? "";
  if (/^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/.test(given)) return given;
  const hex = (n: number) =>
    Array.from(crypto.getRandomValues(new Uint8Array(n)), (b) => b.toString(16).padStart(2, "0")).join("");
  return `00-${hex(16)}-${hex(8)}-01`;
}

/** correlation is the id in a traceparent by which Bellhop's operators find the story. */
export function correlation(traceparent: string): string {
  return traceparent.split("-")[1];
}

/** problem answers an error in the form that Bellhop's own have: RFC 9457. */
export function problem(
  status: number, code: string, detail: string, nextStep: string, retryable: boolean, traceparent: string,
): Response {
  const titles: Record<number, string> = {
    403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 413: "Content Too Large", 422: "Unprocessable Content",
    500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
  };
  const body = {
    type: `urn:bellhop:problem:${code}`, title: titles[status] ?? "Error", status, detail, code, retryable,
    next_step: nextStep, correlation_id: correlation(traceparent),
  };
  return new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/problem+json", traceparent, "x-correlation-id": body.correlation_id },
  });
}

/** base is where Bellhop listens, or null when that was not configured. */
function base(): string | null {
  const url = (Deno.env.get("BELLHOP_URL") ?? "").replace(/\/+$/, "");
  return /^https?:\/\/.+/.test(url) ? url : null;
}

/** readBody reads the body as it is, or returns null when it is too large. */
export async function readBody(req: Request): Promise<Uint8Array | null> {
  if (!req.body) return new Uint8Array();
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of req.body) {
    size += part.byteLength;
    if (size > MAX_BODY) return null;
    parts.push(part);
  }
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

export function tooLarge(traceparent: string): Response {
  return problem(413, "too_large", "The body is too large.", "Send at most 1 MB.", false, traceparent);
}

/** passOn copies the headers that are the sender's own, and only those named when names are given. */
export function passOn(from: Headers, traceparent: string, names?: string[]): Headers {
  const out = new Headers();
  for (const [name, value] of from) {
    if (!HOP_BY_HOP.has(name) && (!names || names.includes(name))) out.append(name, value);
  }
  out.set("traceparent", traceparent);
  return out;
}

/**
 * forward asks Bellhop. Its answer comes back as it is, errors included. When there is none,
 * or one that is not Bellhop's (a proxy's page, a redirect), the answer says so with 502, 503
 * or 504: what is answered with success has been stored.
 */
export async function forward(f: Forward): Promise<Response> {
  const root = base();
  if (root === null) {
    return problem(503, "unavailable", "This function does not know where Bellhop is.",
      "Set the secret BELLHOP_URL and send the same request again.", true, f.trace);
  }
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), f.timeoutMs);
  const again = "Send the same request again in a few seconds; it will not be doubled.";
  try {
    const answer = await fetch(root + f.path, {
      method: f.method, headers: f.headers, redirect: "manual", signal: abort.signal,
      body: f.method === "GET" || f.method === "HEAD" ? undefined : f.body as BodyInit,
    });
    const type = answer.headers.get("content-type") ?? "";
    if (!/^(application\/(problem\+)?json|text\/event-stream)\b/.test(type)) {
      await answer.body?.cancel();
      return problem(502, "unavailable", `Something that is not Bellhop answered (status ${answer.status}).`, again, true, f.trace);
    }
    const headers = passOn(answer.headers, answer.headers.get("traceparent") ?? f.trace,
      ["content-type", "cache-control", "retry-after", "x-correlation-id", "traceparent"]);
    return new Response(f.stream ? answer.body : await answer.arrayBuffer(), { status: answer.status, headers });
  } catch {
    if (abort.signal.aborted) {
      return problem(504, "unavailable", "Bellhop did not answer in time.", again, true, f.trace);
    }
    return problem(502, "unavailable", "Bellhop cannot be reached.", again, true, f.trace);
  } finally {
    clearTimeout(timer);
  }
}

/** origins is the list of the browsers' origins that may call. */
function origins(): string[] {
  return (Deno.env.get("BELLHOP_ALLOWED_ORIGINS") ?? "").split(",").map((o) => o.trim().replace(/\/+$/, "")).filter(Boolean);
}

/**
 * browserFacing wraps a handler that browsers call: it answers preflights, refuses origins
 * that are not on the list and marks the answers for those that are. A request without an
 * Origin is no browser's and is let through: CORS protects visitors, not servers.
 */
export function browserFacing(methods: string, handler: (req: Request, traceparent: string) => Promise<Response>) {
  return async (req: Request): Promise<Response> => {
    const traceparent = trace(req);
    const origin = req.headers.get("origin");
    if (origin !== null && !origins().includes(origin)) {
      return problem(403, "forbidden", "Pages of this origin may not call.",
        "Add the origin to the secret BELLHOP_ALLOWED_ORIGINS.", false, traceparent);
    }
    let answer: Response;
    if (req.method === "OPTIONS") {
      answer = new Response(null, {
        status: 204,
        headers: { "access-control-allow-methods": methods, "access-control-allow-headers": REQUEST_HEADERS, "access-control-max-age": "600" },
      });
    } else {
      answer = await handler(req, traceparent);
    }
    if (origin !== null) {
      answer.headers.set("access-control-allow-origin", origin);
      answer.headers.set("access-control-expose-headers", RESPONSE_HEADERS);
    }
    answer.headers.append("vary", "Origin");
    return answer;
  };
}

/** after returns the path behind the function's own name, with its query. */
export function after(req: Request, name: string): string {
  const url = new URL(req.url);
  const at = url.pathname.split("/").indexOf(name);
  const rest = at < 0 ? "" : "/" + url.pathname.split("/").slice(at + 1).join("/");
  return rest.replace(/\/+$/, "") + url.search;
}
