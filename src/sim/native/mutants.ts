import { AckgateError } from '../../errors.js';
import { buildNativeSim } from './build.js';
import type { Patch } from './patch.js';
import { runNativeSim } from './run.js';

/** A defect that response stages have had, put back into a copy of the C++ sources. */
export interface NativeMutant {
  id: string;
  title: string;
  patches: readonly Patch[];
}

const uring = 'native/uring_sender.cc';
const posix = 'native/posix_sender.cc';
const core = 'native/sender_core.cc';

/** In the order of their numbers. */
export const nativeMutants: readonly NativeMutant[] = [
  {
    id: 'M01',
    title: 'the flush waits for every completion: one peer with a closed window stops everybody',
    patches: [
      {
        file: uring,
        find: '  submitQueued();\n  collect();\n  finishClosing();\n  publishState();\n  return',
        replace:
          '  submitQueued();\n  collect();\n  while (underWay_ > 0) {\n    ring_->wait(1000000);\n    collect();\n  }\n' +
          '  finishClosing();\n  publishState();\n  return',
      },
    ],
  },
  {
    id: 'M02',
    title: 'a short send is retried in a blocking loop',
    patches: [
      {
        file: posix,
        find: `  for (int tries = 0; tries < interruptsMax; tries++) {
    const int64_t sent = sockets_.send(slots_[request.slot].fd, bytesOf(request), request.length);
    if (sent != -EINTR) {
      return static_cast<int32_t>(sent);
    }
  }
  return -EAGAIN;`,
        replace: `  uint32_t done = 0;
  while (done < request.length) {
    const int64_t sent =
        sockets_.send(slots_[request.slot].fd, bytesOf(request) + done, request.length - done);
    if (sent > 0) {
      done += static_cast<uint32_t>(sent);
    } else if (sent != -EINTR && sent != -EAGAIN && sent != 0) {
      return static_cast<int32_t>(sent);
    }
  }
  return static_cast<int32_t>(done);`,
      },
    ],
  },
  {
    id: 'M13',
    title: 'EINTR after submission: stale completions applied to changed buffers, bytes sent twice',
    patches: [
      {
        file: uring,
        find: '  taken(outcome.consumed, internal);',
        replace: '  if (outcome.error != EINTR) {\n    taken(outcome.consumed, internal);\n  }',
      },
    ],
  },
  {
    id: 'M14',
    title: 'a failed submit leaves entries queued that point at buffers changed since',
    patches: [
      {
        file: uring,
        find: '  submitError_ = outcome.error == 0 ? EAGAIN : outcome.error;',
        replace:
          '  submitError_ = outcome.error == 0 ? EAGAIN : outcome.error;\n' +
          '  for (uint32_t i = 0; i < queued_.size(); i++) {\n    answerCanceled(queued_[i]);\n  }',
      },
    ],
  },
  {
    id: 'M20',
    title: "a drop closes only the stage's own dup: the socket and its permit leak",
    patches: [{ file: core, find: '    sockets_.reset(of.fd);', replace: '    static_cast<void>(of);' }],
  },
  {
    id: 'M21',
    title: "a slot is reused while a completion is outstanding: the new client is charged with the old one's",
    patches: [
      { file: core, find: '    if (of.busy()) {', replace: '    if (of.fd < 0) {' },
      {
        file: uring,
        find: '  if (slots_[slot].generation != generationOf(completion.userData)) {\n    return;\n  }\n',
        replace: '',
      },
    ],
  },
  {
    id: 'M23',
    title: 'more dirty connections than ring entries crash the stage',
    patches: [
      { file: uring, find: '#include <cerrno>\n', replace: '#include <cerrno>\n#include <stdexcept>\n' },
      {
        file: uring,
        find: '  const uint32_t sends = ring_->prepare(',
        replace:
          '  if (queued_.size() > ring_->entries() - internal) {\n' +
          '    throw std::length_error("no entry left in the submission queue");\n  }\n' +
          '  const uint32_t sends = ring_->prepare(',
      },
    ],
  },
  {
    id: 'M28',
    title: "the last flush after a fence acknowledges a superseded epoch's orders",
    patches: [{ file: uring, find: '  if (sends > 0 && fenced()) {', replace: '  if (sends > room) {' }],
  },
  {
    id: 'M31',
    title: 'the ring is torn down while the kernel still holds buffers',
    patches: [
      {
        file: uring,
        find: '    if ((inKernel_ == 0 && closing_.empty()) || nowNs >= deadlineNs) {',
        replace: '    if (nowNs <= deadlineNs || inKernel_ == 0) {',
      },
      { file: uring, find: '  held_ = static_cast<int32_t>(closing_.size());', replace: '  held_ = 0;' },
    ],
  },
];

export interface NativeMutantResult {
  id: string;
  found: boolean;
  /** What found it; null when nothing did. */
  invariant: string | null;
  /** Seeds that were needed, or that were not enough. */
  seeds: number;
  message: string;
}

/**
 * Puts a defect back and looks for it with seeds 1 … `seeds`. Without a compiler it is not found, and the message says
 * so.
 *
 * Rejects with `ERR_ACKGATE_INVALID_ARGUMENT` for an unknown id and for a patch that the sources have outgrown.
 */
export async function runNativeMutant(
  id: string,
  options: { seeds?: number; signal?: AbortSignal } = {},
): Promise<NativeMutantResult> {
  const { seeds = 2000 } = options;
  const mutant = nativeMutants.find((candidate) => candidate.id === id);
  if (mutant === undefined) {
    const ids = nativeMutants.map((candidate) => candidate.id).join(', ');
    throw new AckgateError('ERR_ACKGATE_INVALID_ARGUMENT', `there is no C++ mutant ${id}; there are ${ids}`);
  }
  const build = await buildNativeSim({ patches: mutant.patches });
  if (!build.ok) return { id, found: false, invariant: null, seeds: 0, message: build.reason };
  const report = await runNativeSim({
    binary: build.binary,
    seeds,
    untilFailure: true,
    // Far more than any needs: a mutant may be one that never comes back.
    timeoutMs: 120_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  const failure = report.failures.at(0);
  return {
    id,
    found: failure !== undefined,
    invariant: failure?.invariant ?? null,
    seeds: report.seeds,
    message: failure?.message ?? `survived ${report.seeds} seeds`,
  };
}
