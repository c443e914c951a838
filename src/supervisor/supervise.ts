import type { Server } from 'node:net';
import { argument } from '../shared/checks.js';
import type { Stage } from '../stage/api.js';
import { Acceptor, checkServer } from './acceptor.js';
import { checkSupervisorOptions, type SupervisorOptions } from './options.js';
import { watchSignals } from './signals.js';
import { Supervisor } from './supervisor.js';
import { systemTimers } from './timers.js';

const supervised = new WeakSet<Stage>();

/**
 * Takes the connections of a server, listening or about to, and owns their lives from then on.
 *
 * @throws AckgateError ERR_ACKGATE_INVALID_ARGUMENT, ERR_ACKGATE_UNKNOWN_OPTION, ERR_ACKGATE_OUT_OF_RANGE for options
 *   that can't be meant
 */
export function supervise<D = unknown>(server: Server, options: SupervisorOptions<D>): Supervisor<D> {
  checkServer(server);
  const checked = checkSupervisorOptions(options);
  const { logger } = checked;
  if (supervised.has(options.stage)) {
    throw argument('stage', 'one without a supervisor; for a second server give its sockets to spawn()');
  }
  supervised.add(options.stage);
  const timers = systemTimers;
  const parts = { stage: options.stage, timers, stopAccepting: () => acceptor.stop() };
  const supervisor = new Supervisor<D>(parts, checked);
  const acceptor = new Acceptor(server, {
    logger,
    timers,
    spawn: (socket) => supervisor.spawn(socket),
    onAcceptError: () => supervisor.acceptFailed(),
  });
  if (checked.signals) {
    const unwatch = watchSignals({
      start(signal) {
        logger.info({ signal }, 'signal received: shutting down');
        supervisor.shutdown().catch(() => {
          process.exitCode = 1;
        });
      },
      hurry(signal) {
        logger.warn({ signal }, 'second signal received: closing what is left');
        supervisor.hurry();
      },
    });
    supervisor.closed.then(unwatch, unwatch);
  }
  return supervisor;
}
