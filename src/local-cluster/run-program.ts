import { execFile } from 'node:child_process';
import type { Account } from './account.js';
import { plainEnvironment } from './environment.js';
import { fail } from './fail.js';
import { boundMs } from './until.js';

/** Runs a program to its end in a folder, as the account. Returns what it said; fails with what it complained of. */
export function runProgram(
  program: string,
  args: readonly string[],
  { account, folder, password = '' }: { account: Account | null; folder: string; password?: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      program,
      args,
      {
        cwd: folder,
        // In the environment, since everybody on the machine can read arguments.
        env: { ...plainEnvironment, PGPASSWORD: password, PGCONNECT_TIMEOUT: '10' },
        timeout: boundMs,
        killSignal: 'SIGKILL',
        maxBuffer: 64 << 20,
        ...(account === null ? {} : { uid: account.uid, gid: account.gid }),
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else reject(fail(`${program} failed: ${stderr.trim() || error.message}`, error));
      },
    );
  });
}
