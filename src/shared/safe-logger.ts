import { Contained } from './contained.js';
import { type Logger, silentLogger } from './logger.js';

/**
 * The same logger, but whatever it throws is caught and told once, as a process warning with the code `ACKGATE_LOGGER`:
 * a log line is never worth a stage.
 */
export function safeLogger(logger: Logger): Logger {
  if (logger === silentLogger) return logger;
  const contained = new Contained('the logger', 'ACKGATE_LOGGER');
  // Looked up on the logger at every call: its methods may need `this`, and pino swaps them when its level changes.
  const line = (level: keyof Logger) => (fields: object, message: string) =>
    contained.run(() => logger[level](fields, message));
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
}
