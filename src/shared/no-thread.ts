/** Why Node made no thread, and what to do about it where that is known, without a full stop. */
export function explainNoThread(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = message.replace(/\.$/, '');
  if (code === 'ERR_ACCESS_DENIED') return `${reason}: under --permission Node needs --allow-worker`;
  if (code !== 'ERR_WORKER_INIT_FAILED') return reason;
  return `${reason}: raise the limit on threads (ulimit -u, TasksMax= in a systemd unit, --pids-limit of a container)`;
}
