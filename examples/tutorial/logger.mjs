/** One line each: what happened, then the figures. Ackgate takes pino as well, or anything with these four methods. */
export const logger = { debug() {}, info: line('info'), warn: line('warn'), error: line('error') };

/** @param {string} level */
function line(level) {
  return (/** @type {object} */ fields, /** @type {string} */ message) =>
    console.log(`${level}: ${message} ${JSON.stringify(fields)}`);
}
