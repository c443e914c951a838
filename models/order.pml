/*
 * What was sent before a record is applied before the record is read: src/stage/response-stage.ts (doWork, which notes
 * how far the output ring is published before #takeControl; #release, #isTooLate, #endings), src/stage/drain-list.ts
 * (add, isPast, sweep), src/stage/controlled-stage.ts (attach, disconnect), src/stage/control.ts (#send, take).
 *
 * A server thread attaches a connection, lets the engine's thread answer on it, and disconnects it 'drained' with the
 * output ring's position as it finds it, again and again; ids are never reused. Both rings have two slots; counters
 * wrap at 16. After a call of disconnect there are LATE records at most until the connection has gone: a server that is
 * held up for half a turn of the 32-bit counter inside of the call is left out. Records of the control ring are (kind, connection, position).
 */
#define SLOTS 2
#define WRAP 16
#define add(a, b) (((a) + (b)) % WRAP)
#define distance(a, b) (((a) + WRAP - (b)) % WRAP)
#define signed(d) ((d) >= WRAP / 2 -> (d) - WRAP : (d))
#ifdef COMPARES_UNWRAPPED
#define isPast(at) ((at) >= position)
#elif defined(OFF_BY_ONE)
#define isPast(at) (signed(distance(at, position)) > 0)
#else
#define isPast(at) (signed(distance(at, position)) >= 0)
#endif
#ifndef LATE
#define LATE 3
#endif
#ifndef ROUNDS
#define ROUNDS 2 /* connections, one after the other: bounds only their ids */
#endif

byte published, consumed;
byte answersTo[SLOTS];

#define ATTACH 1
#define DISCONNECT 2
byte sent, taken;
byte kind[SLOTS], connection[SLOTS], upTo[SLOTS];

byte told;     /* the connection that the engine may answer on: what the server passes on with the request */
byte gone;     /* the last connection that has ended */
byte called;   /* nothing of the program: the last connection that disconnect was called for */
byte lates;    /* and records published since */
bit late[SLOTS]; /* nothing of the program: the record was published after that call */

inline send(what, id, position) {
  distance(sent, taken) < SLOTS; /* 'full': it is tried again */
  kind[sent % SLOTS] = what;
  connection[sent % SLOTS] = id;
  upTo[sent % SLOTS] = position;
  sent = add(sent, 1)
}

proctype Server() {
  byte id = 1, position;

  do
  :: id <= ROUNDS ->
     send(ATTACH, id, 0);
     told = id;
     /* ControlledStage.disconnect: RingObserver.published */
     d_step { position = published; called = id; lates = 0 }
     send(DISCONNECT, id, position);
     gone >= id; /* its event: only bounds the model, a server need not wait */
     position = 0;
     id++
  :: else -> break
  od
}

proctype Engine() {
  byte to;

end:
  do
  :: told > 0 && gone < ROUNDS ->
     to = told;
     if
     :: distance(published, consumed) < SLOTS && (called < to || lates < LATE) ->
        answersTo[published % SLOTS] = to;
        d_step {
          late[published % SLOTS] = (called >= to);
          if :: called >= to -> lates++ :: else fi;
          published = add(published, 1)
        }
     :: else
     fi;
     to = 0
  od
}

proctype Stage() {
  byte noted, n, i, open, leaving, position, to;

end:
  do
  :: /* ResponseStage.doWork */
#ifdef CONTROL_FIRST
     skip;
#else
     noted = distance(published, consumed);
#endif
     /* #takeControl */
     n = distance(sent, taken);
     i = 0;
     do
     :: i < n ->
        if
        :: kind[add(taken, i) % SLOTS] == ATTACH -> open = connection[add(taken, i) % SLOTS]
        :: else -> /* DrainList.add */
           d_step {
             leaving = connection[add(taken, i) % SLOTS];
             position = upTo[add(taken, i) % SLOTS]
           }
        fi;
        i++
     :: else -> break
     od;
     taken = add(taken, n);
#ifdef CONTROL_FIRST
     noted = distance(published, consumed);
#endif
     /* #release: all, or fewer when the gate ends the batch */
     i = 0;
     do
     :: i < noted ->
        to = answersTo[add(consumed, i) % SLOTS];
        /* A record is never read before the attach of its connection was applied. */
        assert(to <= open);
        if
        :: to == leaving ->
           /* DrainList.isPast: discarded or answered, exactly by whether it was published after the call */
           assert(isPast(add(consumed, i)) == late[add(consumed, i) % SLOTS])
        :: else
        fi;
        i++
     :: break
     od;
     consumed = add(consumed, i);
     d_step { i = 0; n = 0; noted = 0; to = 0 }
     /* #endings: DrainList.sweep */
     if
     :: leaving > 0 ->
#ifndef ENDS_AT_ONCE
        if
        :: isPast(consumed) ->
#else
        if
        :: true ->
#endif
           /* Everything published before the call was read before the connection ends. */
           assert(signed(distance(consumed, position)) >= 0);
           d_step { gone = leaving; leaving = 0; position = 0 }
        :: else
        fi
     :: else
     fi
  od
}

init {
  atomic { run Server(); run Engine(); run Stage() }
}
