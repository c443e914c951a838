import { pathToFileURL } from 'node:url';
import type { CreateDriver, SoakDriver } from '../soak/driver.js';
import { checkDriver } from '../soak/driver-check.js';
import { WrongCall } from './wrong-call.js';

/** The demo's, which is compiled on its own, as a user's would be. */
const demoDriver = new URL('../demo/soak-driver.js', import.meta.url);

/**
 * Loads the driver of a run.
 *
 * @param driverModule absolute path; null: the demo's
 */
export async function readDriver(driverModule: string | null, hasCommand: boolean): Promise<SoakDriver> {
  const url = driverModule === null ? demoDriver : pathToFileURL(driverModule);
  const name = driverModule ?? 'of the demo';
  let module: { default?: unknown };
  try {
    module = await import(url.href);
  } catch (error) {
    throw wrong(name, `can't be loaded: ${(error as Error).message}`);
  }
  if (typeof module.default !== 'function') {
    const what = module.default === undefined ? 'it has none' : `it is ${typeof module.default}`;
    throw wrong(name, `its default export must be a function that returns a driver; ${what}`);
  }
  let made: unknown;
  try {
    made = await (module.default as CreateDriver)();
  } catch (error) {
    throw wrong(name, `its function has thrown: ${(error as Error).message ?? String(error)}`);
  }
  const driver = WrongCall.guard('', () => checkDriver(name, made));
  if (!hasCommand && driver.server === undefined) {
    throw wrong(name, "it has no server(): write the server's command behind --");
  }
  return driver;
}

const wrong = (name: string, message: string) =>
  new WrongCall('ERR_ACKGATE_INVALID_ARGUMENT', `driver ${name}: ${message}`);
