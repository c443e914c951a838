/**
 * A small HTTP server beside a stage: `/health` and `/ready`, `/metrics`, `/status`, a live page, and with a token the calls
 * that change its directives and its durability mode.
 *
 * ```js
 * const admin = await startAdminServer({ stage, journal, port: 9464, token: process.env.ADMIN_TOKEN });
 * console.log(admin.url);
 * ```
 *
 * @module ackgate/admin
 */

export type { AdminLimits } from './limits.js';
export type { AdminServerOptions } from './options.js';
export { type AdminServer, startAdminServer } from './server.js';
