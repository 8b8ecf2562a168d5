// The chat of a browser, through your Supabase project: the routes of Bellhop's API that a
// visitor or a signed-in user may call, and no others. The Authorization header goes on as
// it is; Bellhop checks it (a visitor's token is its own, so deploy with --no-verify-jwt).
import { after, browserFacing, forward, passOn, problem, readBody, tooLarge } from "../_shared/bellhop.ts";

/** An assistant may think for 25 seconds before Bellhop goes on without it. */
const TIMEOUT_MS = 35_000;

const ROUTES: [string, RegExp][] = [
  ["POST", /^\/visitors$/],
  ["POST", /^\/conversations$/],
  ["GET", /^\/conversations\/[0-9a-f-]{36}(\/stream)?$/],
  ["POST", /^\/conversations\/[0-9a-f-]{36}\/messages$/],
  ["GET", /^\/requests\/[0-9a-f-]{36}$/],
  ["POST", /^\/client-errors$/],
];

Deno.serve(browserFacing("GET, POST, OPTIONS", async (req, trace) => {
  const path = after(req, "chat");
  const bare = path.split("?")[0];
  const known = ROUTES.filter(([, route]) => route.test(bare));
  if (known.length === 0) {
    return problem(404, "not_found", "There is no such route.", "See docs/supabase.md for the routes of this function.", false, trace);
  }
  if (!known.some(([method]) => method === req.method)) {
    return problem(405, "method_not_allowed", "The route is not called this way.", `Use ${known[0][0]}.`, false, trace);
  }
  const body = await readBody(req);
  if (body === null) return tooLarge(trace);
  const headers = passOn(req.headers, trace, ["authorization", "content-type", "accept", "x-bellhop-visitor"]);
  return await forward({ path: "/v1" + path, method: req.method, headers, body, trace, timeoutMs: TIMEOUT_MS, stream: true });
}));
