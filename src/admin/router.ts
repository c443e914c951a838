import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Answer, refusal } from './answer.js';
import type { AdminContext, Route } from './context.js';
import { Guard } from './guard.js';
import { readTarget, targetCharsMax } from './request.js';
import { captureRoute } from './routes/capture.js';
import { directivesRoute } from './routes/directives.js';
import { healthRoute, readyRoute } from './routes/health.js';
import { metricsRoute } from './routes/metrics.js';
import { modeRoute } from './routes/mode.js';
import { pageRoute } from './routes/page.js';
import { sharedModeRoute } from './routes/shared-mode.js';
import { statusRoute } from './routes/status.js';

/** Answers a request; null when its client is gone. */
export type Router = (request: IncomingMessage, response: ServerResponse) => Promise<Answer | null>;

/**
 * The order of the checks is a promise: what is not there (404), the method (405), cleartext and foreign pages (403),
 * the token (401), and only then the body.
 */
export function createRouter(context: AdminContext): Router {
  const guard = new Guard(context.options);
  const routes = createRoutes(context);

  return async (request, response) => {
    if (request.httpVersionMajor !== 1) {
      return refusal(400, 'bad_version', 'this server speaks HTTP/1.0 and HTTP/1.1');
    }
    const target = readTarget(request);
    if (target === null) return refusal(400, 'bad_target', 'the request has to name a path of this server');
    if ((request.url?.length ?? 0) > targetCharsMax) {
      return refusal(414, 'url_too_long', `a path has at most ${targetCharsMax} characters`);
    }
    const foreign = guard.checkHost(request);
    if (foreign !== null) return foreign;
    const route = routes.get(target.path);
    if (route === undefined) return refusal(404, 'not_found', 'there is nothing here');
    const handler = handlerOf(route, request.method ?? '');
    if (handler === undefined) {
      const allow = methodsOf(route);
      return refusal(405, 'method_not_allowed', `this path knows ${allow}`, { Allow: allow });
    }
    const caller = guard.caller(request);
    if (route.admin) {
      const refused = guard.checkAdmin(request);
      if (refused !== null) {
        const { error } = JSON.parse(refused.body);
        context.audit.refused(caller, `${request.method} ${target.path}`, refused.status, error);
        return refused;
      }
    }
    return handler({ request, response, target, caller });
  };
}

/** Only what is configured is there: the rest answers like any path that nobody ever thought of. */
function createRoutes(context: AdminContext): ReadonlyMap<string, Route> {
  const { token, directives, mode, page } = context.options;
  const routes = new Map<string, Route>([
    ['/health', healthRoute(context)],
    ['/ready', readyRoute(context)],
    ['/metrics', metricsRoute(context)],
    ['/status', statusRoute(context)],
  ]);
  if (page) routes.set('/', pageRoute());
  if (token === null) return routes;
  routes.set('/admin/mode', mode === null ? modeRoute(context) : sharedModeRoute(context, mode));
  routes.set('/admin/capture', captureRoute(context));
  if (directives !== null) routes.set('/admin/directives', directivesRoute(context, directives));
  return routes;
}

function handlerOf({ methods }: Route, method: string) {
  if (method === 'HEAD') return methods.GET;
  return method === 'GET' || method === 'POST' ? methods[method] : undefined;
}

function methodsOf({ methods }: Route): string {
  return [...(methods.GET === undefined ? [] : ['GET', 'HEAD']), ...(methods.POST ? ['POST'] : [])].join(
    ', ',
  );
}
