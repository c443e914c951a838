/**
 * The demo's protocol: what is inside the frames. A frame is a little-endian u32 length (of what follows) and a
 * body; the body's first byte says what it is. Ackgate frames the answers and adds control bodies of its own
 * (tags below 0x10); applications use tags from 0x10 on. All numbers are little-endian.
 *
 * Requests, client to server:
 *
 *   | tag  | name   | byte 1  | bytes 2–3 | 4–7       | 8–11     | 12–15    |
 *   |------|--------|---------|-----------|-----------|----------|----------|
 *   | 0x10 | logon  | version | 0         | client id |          |          |
 *   | 0x11 | limit  | side    | 0         | request   | price    | quantity |
 *   | 0x12 | market | side    | 0         | request   | quantity |          |
 *   | 0x13 | cancel | 0       | 0         | request   | target   |          |
 *   | 0x14 | query  | 0       | 0         | request   | target   |          |
 *   | 0x15 | logoff | 0       | 0         | request   |          |          |
 *   | 0x16 | orders | 0       | 0         | request   |          |          |
 *
 * A client keeps its client id when it connects again. It numbers its requests itself, upwards from 1; an order
 * goes by the number of the request that placed it, so that it can be asked for and cancelled by a client that
 * never saw its acknowledgement (target). The answer to `orders` is one order state for each of the client's own open
 * orders, oldest first, at most the 1,024 oldest; when there is none, it is one order state of nothing.
 *
 * Responses, server to client, have one shape, 48 bytes:
 *
 *   | bytes | what                                                                                |
 *   |-------|-------------------------------------------------------------------------------------|
 *   | 0     | tag, see `ResponseTag`                                                              |
 *   | 1     | flags: 1 sell, 2 taker (in a fill)                                                  |
 *   | 2     | order status; in a rejection the reason                                             |
 *   | 3     | 0                                                                                   |
 *   | 4–7   | response number: 1, 2, 3 … on each connection, so that a gap or a repeat shows      |
 *   | 8–11  | request that this answers; in a fill and an expiry the one that placed the order    |
 *   | 12–15 | price of the order (0: market); in a fill the price it traded at                    |
 *   | 16–19 | quantity of the order; in a fill the quantity traded                                |
 *   | 20–23 | quantity of the order filled so far                                                 |
 *   | 24–31 | order id (f64): the journal's sequence of the order; logon: highest request applied |
 *   | 32–39 | sequence (f64): the last one in the journal that this answer depends on             |
 *   | 40–43 | place of a fill among those of its sequence, from 0; in a list of orders the one    |
 *   |       | that placed the order (0: there is none)                                            |
 *   | 44–47 | CRC-32 of the bytes before                                                          |
 *
 * An end-of-batch frame follows the last answer to each request. What is no request at all is rejected, and its connection
 * ends; a frame that is empty, or longer than any request, ends it with a disconnect frame that says why.
 */
import { crc32 } from 'node:zlib';
import { marketPrice, OrderStatus, Side } from './order-book.js';

export const protocolVersion = 1;

/** Largest request body in bytes. A longer one is malformed, so that nobody can make the server buffer much. */
export const requestBytesMax = 16;
export const responseBytes = 48;
/** Most orders in the answer to `orders`. */
export const listedOrdersMax = 1024;

/** Prices in ticks and quantities in lots, from 1 on. */
export const priceMax = 1_000_000_000;
export const quantityMax = 1_000_000;
export const idMax = 0xffff_ffff;

export const RequestTag = {
  logon: 0x10,
  limit: 0x11,
  market: 0x12,
  cancel: 0x13,
  query: 0x14,
  logoff: 0x15,
  orders: 0x16,
} as const;

export type Request =
  | { readonly tag: typeof RequestTag.logon; readonly clientId: number }
  | Command
  | { readonly tag: typeof RequestTag.query; readonly requestId: number; readonly target: number }
  | { readonly tag: typeof RequestTag.logoff; readonly requestId: number }
  | { readonly tag: typeof RequestTag.orders; readonly requestId: number };

/** A request that changes the book: it goes to the journal first. */
export type Command =
  | {
      readonly tag: typeof RequestTag.limit | typeof RequestTag.market;
      readonly requestId: number;
      readonly side: Side;
      /** 0 in a market order. */
      readonly price: number;
      readonly quantity: number;
    }
  | { readonly tag: typeof RequestTag.cancel; readonly requestId: number; readonly target: number };

export const ResponseTag = {
  loggedOn: 0x20,
  accepted: 0x21,
  rejected: 0x22,
  cancelled: 0x23,
  fill: 0x24,
  orderState: 0x25,
  /** What is left of a market order that found nobody more to trade with. */
  expired: 0x26,
  loggedOff: 0x27,
} as const;
export type ResponseTag = (typeof ResponseTag)[keyof typeof ResponseTag];

export const RejectReason = {
  /** Price or quantity out of range. */
  outOfRange: 1,
  /** The request id is not above every earlier one of this client: it was applied already. */
  duplicateRequest: 2,
  /** The order to cancel is not (or no longer) in the book. */
  notOpen: 3,
  /** The frame made no sense; the connection ends. */
  malformed: 4,
} as const;
export type RejectReason = (typeof RejectReason)[keyof typeof RejectReason];

/** The fields of a response but for its number, which belongs to the connection. */
export interface Response {
  readonly tag: ResponseTag;
  readonly side: Side;
  readonly taker: boolean;
  /** `OrderStatus`, or in a rejection `RejectReason`. */
  readonly code: number;
  readonly requestId: number;
  readonly price: number;
  readonly quantity: number;
  readonly filled: number;
  readonly orderId: number;
  readonly sequence: number;
  /** Of a fill; in a list of orders the request that placed the order. */
  readonly match: number;
}

const blank: Response = {
  tag: ResponseTag.rejected,
  side: Side.buy,
  taker: false,
  code: OrderStatus.unknown,
  requestId: 0,
  price: 0,
  quantity: 0,
  filled: 0,
  orderId: 0,
  sequence: 0,
  match: 0,
};

export function response(tag: ResponseTag, fields: Partial<Response>): Response {
  return { ...blank, ...fields, tag };
}

/** Reads a request body. Null for anything that is not exactly one. */
export function decodeRequest(body: Buffer): Request | null {
  if (body.length < 8 || body.readUInt16LE(2) !== 0) return null;
  const tag = body[0];
  const second = body[1];
  const id = body.readUInt32LE(4);
  switch (tag) {
    case RequestTag.logon:
      return body.length === 8 && second === protocolVersion && id > 0 ? { tag, clientId: id } : null;
    case RequestTag.limit:
      if (body.length !== 16 || second > 1 || id === 0) return null;
      return {
        tag,
        requestId: id,
        side: second as Side,
        price: body.readUInt32LE(8),
        quantity: body.readUInt32LE(12),
      };
    case RequestTag.market:
      if (body.length !== 12 || second > 1 || id === 0) return null;
      return {
        tag,
        requestId: id,
        side: second as Side,
        price: marketPrice,
        quantity: body.readUInt32LE(8),
      };
    case RequestTag.cancel:
    case RequestTag.query:
      if (body.length !== 12 || second !== 0 || id === 0) return null;
      return { tag, requestId: id, target: body.readUInt32LE(8) };
    case RequestTag.logoff:
    case RequestTag.orders:
      return body.length === 8 && second === 0 && id > 0 ? { tag, requestId: id } : null;
    default:
      return null;
  }
}

/** A request as a whole frame, length included. */
export function encodeRequest(request: Request): Buffer {
  const frame = Buffer.alloc(4 + requestLength(request));
  frame.writeUInt32LE(frame.length - 4, 0);
  frame[4] = request.tag;
  frame.writeUInt32LE(request.tag === RequestTag.logon ? request.clientId : request.requestId, 8);
  switch (request.tag) {
    case RequestTag.logon:
      frame[5] = protocolVersion;
      break;
    case RequestTag.limit:
      frame[5] = request.side;
      frame.writeUInt32LE(request.price, 12);
      frame.writeUInt32LE(request.quantity, 16);
      break;
    case RequestTag.market:
      frame[5] = request.side;
      frame.writeUInt32LE(request.quantity, 12);
      break;
    case RequestTag.cancel:
    case RequestTag.query:
      frame.writeUInt32LE(request.target, 12);
      break;
  }
  return frame;
}

function requestLength(request: Request): number {
  switch (request.tag) {
    case RequestTag.logon:
    case RequestTag.logoff:
    case RequestTag.orders:
      return 8;
    case RequestTag.limit:
      return 16;
    default:
      return 12;
  }
}

/** Writes a response body to the start of `into`, which has room for `responseBytes`. */
export function encodeResponse(response: Response, number: number, into: Buffer): void {
  into[0] = response.tag;
  into[1] = response.side | (response.taker ? 2 : 0);
  into[2] = response.code;
  into[3] = 0;
  into.writeUInt32LE(number, 4);
  into.writeUInt32LE(response.requestId, 8);
  into.writeUInt32LE(response.price, 12);
  into.writeUInt32LE(response.quantity, 16);
  into.writeUInt32LE(response.filled, 20);
  into.writeDoubleLE(response.orderId, 24);
  into.writeDoubleLE(response.sequence, 32);
  into.writeUInt32LE(response.match, 40);
  into.writeUInt32LE(crc32(into.subarray(0, 44)), 44);
}

/** Reads a response body. Null when it is of another size or its checksum is wrong. */
export function decodeResponse(body: Buffer): (Response & { readonly number: number }) | null {
  if (body.length !== responseBytes || crc32(body.subarray(0, 44)) !== body.readUInt32LE(44)) return null;
  return {
    tag: body[0] as ResponseTag,
    side: (body[1] & 1) as Side,
    taker: (body[1] & 2) !== 0,
    code: body[2],
    number: body.readUInt32LE(4),
    requestId: body.readUInt32LE(8),
    price: body.readUInt32LE(12),
    quantity: body.readUInt32LE(16),
    filled: body.readUInt32LE(20),
    orderId: body.readDoubleLE(24),
    sequence: body.readDoubleLE(32),
    match: body.readUInt32LE(40),
  };
}
