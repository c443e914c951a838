// Which variant is called what, and drawn how: the same in every table and chart.

/** Variants of the egress bench, in the order in which they are shown. */
export const egressVariants = [
  {
    key: 'limit',
    name: 'limit (C)',
    does: 'C: a memcpy into the connection’s buffer, one SEND per connection with bytes, one `io_uring_enter` per round, the cheapest flags',
  },
  {
    key: 'classic',
    name: 'classic (C)',
    does: 'C: what response stages classically do: a hash-map lookup per frame, submit and wait for all sends, a blocking retry of short ones',
  },
  {
    key: 'uring',
    name: 'ackgate, io_uring',
    does: 'the whole stage: ring, gate, encode, append, flush, reap',
  },
  {
    key: 'posix',
    name: 'ackgate, posix',
    does: 'the same with the sender that does one non-blocking `send` per connection',
  },
  {
    key: 'corked',
    name: 'net.Socket, corked',
    does: 'Node: a `write` per frame, between one `cork` and `uncork` per connection and round',
  },
  { key: 'socket', name: 'net.Socket', does: 'Node: a `write` per frame' },
];

// Colours after Okabe and Ito, which colour-blind people tell apart; symbols and dashes say the same once more.
const styles = {
  limit: { color: '#444444', symbol: 'diamond', type: 'solid' },
  classic: { color: '#d55e00', symbol: 'triangle', type: [6, 3] },
  ackgate: { color: '#0072b2', symbol: 'circle', type: 'solid' },
  uring: { color: '#0072b2', symbol: 'circle', type: 'solid' },
  posix: { color: '#56b4e9', symbol: 'circle', type: [6, 3] },
  corked: { color: '#cc79a7', symbol: 'rect', type: [6, 3] },
  socket: { color: '#9c3d74', symbol: 'rect', type: 'solid' },
  'net.Socket': { color: '#9c3d74', symbol: 'rect', type: 'solid' },
};
const idleStyles = {
  backoff: { color: '#56b4e9', symbol: 'rect', type: [6, 3] },
  park: { color: '#009e73', symbol: 'triangle', type: [2, 3] },
};
const unknown = { color: '#999999', symbol: 'circle', type: [2, 3] };

/** How a variant is drawn; Ackgate's ways to idle differ among themselves. */
export function styleOf(variant, idle = null) {
  return (variant === 'ackgate' && idleStyles[idle]) || styles[variant] || unknown;
}

/** `ackgate, spin`; what has no way to idle goes by its name alone. */
export function variantName(variant, idle = null) {
  const name = variant === 'limit' || variant === 'classic' ? `${variant} (C)` : variant;
  return idle === null || idle === undefined ? name : `${name}, ${idle}`;
}

/**
 * The egress case with these numbers, null when it was not measured. Where it was in both orders, the one where the
 * frames of a connection are in a row, unless another `order` is wanted.
 */
export function findCase(cases, { connections, frames, bytes }, order = 'grouped') {
  const found = (cases ?? []).filter(
    (one) => one.connections === connections && one.frames === frames && one.bytes === bytes,
  );
  return found.find((one) => one.order === order) ?? found[0] ?? null;
}
