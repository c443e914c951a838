export type { AdminLimits } from './limits.js';
export type { AdminServerOptions } from './options.js';
export { type AdminServer, startAdminServer } from './server.js';
