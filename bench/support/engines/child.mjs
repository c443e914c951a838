import { fork } from 'node:child_process';
import { once } from 'node:events';

/** A process of this folder that answers one question at a time. It ends with `close`, by its own pid. */
export function startChild(file, args = []) {
  const child = fork(new URL(file, import.meta.url), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const exited = once(child, 'exit');
  return {
    async ask(command, values = {}) {
      const ended = exited.then(([code, signal]) => {
        throw new Error(`${file} has ended (${signal ?? code})`);
      });
      child.send({ command, ...values });
      const [answer] = await Promise.race([once(child, 'message'), ended]);
      return answer;
    },
    async close() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
