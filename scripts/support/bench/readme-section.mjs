import { headline } from './benches.mjs';
import { absent, count, list, middle, number, paragraphs, ratio, spread, table } from './format.mjs';
import { findCase } from './variants.mjs';

/** Large answers in batches: where copying costs more than calls into the kernel. */
const large = { connections: 256, frames: 16, bytes: 1024 };
/** More answers in a batch than are flushed together, those of all clients in turn: where Ackgate loses most. */
const mixed = { connections: 256, frames: 16, bytes: 64, order: 'interleaved' };

/** The figures that README.md quotes, from the same results as docs/BENCHMARKS.md. */
export function figuresInShort(results) {
  return paragraphs(besideOthers(results), alone(results), memory(results));
}

function besideOthers({ egress, latency, isolation }) {
  const cpu = (shape) => (key) =>
    number(middle(findCase(egress?.cases, shape, shape.order)?.variants?.[key]?.cpuNs));
  const roundTrip = (variant, idle = null) =>
    number(list(latency?.pingPong).find((one) => one.variant === variant && one.idle === idle)?.us?.p50);
  const stuck = (variant) => {
    const found = list(isolation?.cases).find(
      (one) => one.variant === variant && one.sickness === 'stopped',
    )?.p99Ratio;
    const value = middle(found);
    return value >= 100 ? number(Math.round(value)) : spread(found, ratio);
  };
  const row = (what, of) => [what, ...['uring', 'socket', 'corked', 'limit', 'classic'].map(of)];
  const shape = ({ frames, bytes }) => `${frames} of ${count(bytes)} bytes for each client`;
  const only = (values) => (key) => values[key] ?? absent;
  return table(
    ['', '>Ackgate', '>`net.Socket`', '>corked', '>C, best', '>C, classic'],
    [
      row(`CPU per answer in ns, ${shape(headline)}`, cpu(headline)),
      row(`the same, ${shape(large)}`, cpu(large)),
      row(`the same, ${shape(mixed)}, all clients in turn`, cpu(mixed)),
      row(
        'round trip of one client in µs, p50',
        only({
          uring: `${roundTrip('ackgate', 'park')}, spinning ${roundTrip('ackgate', 'spin')}`,
          socket: roundTrip('net.Socket'),
          limit: roundTrip('limit'),
        }),
      ),
      row(
        'p99 of the others, a tenth stuck ÷ none (quartiles)',
        only({ uring: stuck('ackgate'), socket: stuck('net.Socket'), classic: stuck('classic') }),
      ),
    ],
  );
}

/** What there is nothing to hold against. */
function alone({ engines }) {
  const inMs = (us) => (middle(us) === null ? absent : (middle(us) / 1000).toFixed(1));
  const acknowledgement = (what, engine, mode) => {
    const modes = list(list(engines?.engines).find(({ name }) => name === engine)?.modes);
    const { ackgateUs, clientUs } = modes.find(({ name }) => name === mode) ?? {};
    const both = (us) => `${inMs(us?.p50)} / ${inMs(us?.p99)}`;
    return [`${what}, in ms, p50 / p99`, both(ackgateUs), both(clientUs)];
  };
  return table(
    ['', '>the kernel has it', '>the client has it'],
    [
      acknowledgement('an answer behind `fdatasync`, `local`', 'file', 'local'),
      acknowledgement('the same with replicas over NATS, `hybrid`', 'nats', 'hybrid'),
      acknowledgement('the same with PostgreSQL and two standbys, `hybrid`', 'postgres', 'hybrid'),
    ],
  );
}

function memory({ scale }) {
  const bytes = count(scale?.idle?.bytesPerConnectionAfterUse);
  return `An idle connection that has had an answer takes ${bytes} bytes of memory beside its socket.`;
}
