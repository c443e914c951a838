/*
 * One ring: src/ring/producer.ts (claim, publish, release, takeOver, #takeOwnership, #resume), src/ring/consumer.ts
 * (available, at, release; RingObserver.highestSeq).
 *
 * Every access to a word that two threads share is one step. The three plain words of a slot stand for what is written
 * by claim (the length), by the caller (the payload) and by publish (the header); `highest` is the slot's highestSeq,
 * in two halves because a plain 64-bit read may be torn. Counters wrap at WRAP, a multiple of the capacity like 2^32.
 *
 * SLOTS       capacity, 2 or 4
 * HANDOVER    two producers that pass the writing end on with release() and claim()
 * DEATHS      a producer that may die at any step; the next one calls takeOver()
 * OBSERVER    a third thread asks for highestSeq(); then RECORDS are published in all, from START on: the observer
 *             can't tell a whole turn of the 32-bit counter during one of its looks from none at all
 */
#ifndef SLOTS
#define SLOTS 2
#endif
#define WRAP (4 * SLOTS)
#ifndef RECORDS
#define RECORDS (3 * SLOTS + 1)
#endif
#ifndef START
#define START 0
#endif
#define add(a, b) (((a) + (b)) % WRAP)
/* (a - b) | 0, of counters that are never further apart than the capacity */
#define distance(a, b) (((a) + WRAP - (b)) % WRAP)
#define slotOf(position) ((position) % SLOTS)

byte published, consumed; /* the two counters of the ring, ringLayout */
byte owner;               /* ringLayout.producer: token of the owner, 0: none */

typedef Slot {
  byte length, payload, header, highestLow, highestHigh
}
Slot slots[SLOTS];

/* Nothing of the program: what is true. Record k (wrapping) carries k + 1 everywhere; a fresh slot carries 0. */
byte made;
byte inClaim;
#define contentOf(position) ((position) + 1)
#ifdef OBSERVER
bool any = (START != 0); /* something was published before */
byte left = RECORDS;
#define highestAfter(count) (any -> contentOf(add(count, WRAP - 1)) : 0)
#endif

#ifdef DEATHS
#define mayDie if :: skip :: goto dead fi
#else
#define mayDie skip
#endif

#ifdef NO_WRAP
#define full(next, seen) ((next) >= (seen) + SLOTS)
#elif defined(FULL_OFF_BY_ONE)
#define full(next, seen) (distance(next, seen) > SLOTS)
#else
#define full(next, seen) (distance(next, seen) >= SLOTS)
#endif

/* Producer.#resume */
inline resume() {
#ifndef RESUME_WITHOUT_POSITION
  next = published;
#endif
  consumedSeen = consumed;
#ifdef OBSERVER
  assert(slots[slotOf(add(next, WRAP - 1))].highestHigh == highestAfter(next))
#endif
}

inline announce() {
  d_step {
    assert(published == made);
    made = add(made, 1);
#ifdef OBSERVER
    any = true; left--;
#endif
    published = add(next, 1)
  }
}

proctype Producer(byte token) {
  byte next, consumedSeen;
  bool owns;

again:
#ifdef OBSERVER
  if :: left == 0 -> goto stop :: else fi;
#endif
  /* Producer.claim */
  if
  :: owns
  :: else ->
     if
     :: d_step { owner == 0 -> owner = token } -> skip
     :: owner != 0 -> goto again /* ERR_ACKGATE_RING_IN_USE; the caller tries again */
     fi;
     resume();
     owns = true
  fi;
  if
  :: full(next, consumedSeen) ->
     consumedSeen = consumed;
     if :: full(next, consumedSeen) -> goto again :: else fi
  :: else
  fi;
  d_step { inClaim++; assert(inClaim == 1) } /* two owners at once */
#ifdef PUBLISH_BEFORE_WRITE
  announce();
#endif
#ifdef RELEASE_BEFORE_PUBLISH
  owner = 0; owns = false;
#endif
  slots[slotOf(next)].length = contentOf(next); mayDie;
  slots[slotOf(next)].payload = contentOf(next); mayDie;
  /* Producer.publish */
  slots[slotOf(next)].header = contentOf(next); mayDie;
#ifdef OBSERVER
  slots[slotOf(next)].highestLow = contentOf(next); mayDie;
  slots[slotOf(next)].highestHigh = contentOf(next); mayDie;
#endif
  inClaim--;
#ifndef PUBLISH_BEFORE_WRITE
  announce();
#endif
  next = add(next, 1);
#ifdef HANDOVER
  if
  :: owns -> owner = 0; owns = false /* Producer.release */
  :: skip
  fi;
#endif
  goto again;

#ifdef DEATHS
dead:
  skip;
  /* Its thread has ended, in the middle of a slot; another producer's takeOver. */
  d_step { inClaim = 0; next = 0; consumedSeen = 0 }
  owner = token;
  resume();
  goto again;
#endif
stop:
  skip
}

proctype Consumer() {
  byte next = START, count, taken, at;

end:
  do
  :: /* Consumer.available */
     count = distance(published, next);
     assert(count <= SLOTS);
     taken = 0;
#ifdef RELEASE_BEFORE_COPY
     consumed = add(next, count);
#endif
     do
     :: taken < count ->
        /* Consumer.at: the record's words, one after the other */
        at = add(next, taken);
        assert(slots[slotOf(at)].length == contentOf(at));
        assert(slots[slotOf(at)].payload == contentOf(at));
        assert(slots[slotOf(at)].header == contentOf(at));
        taken++
     :: break /* the batch may end early: the gate is closed, or the limit is reached */
     od;
     /* Consumer.release */
     next = add(next, taken);
#ifndef RELEASE_BEFORE_COPY
     consumed = next
#else
     next = add(next, count - taken)
#endif
  od
}

#ifdef OBSERVER
#ifdef OBSERVER_OFF_BY_ONE
#define intact(since) ((since) < SLOTS)
#else
#define intact(since) ((since) < SLOTS - 1)
#endif
proctype Observer() {
  byte seen, low, high, truth;

  do
  :: /* RingObserver.highestSeq */
     d_step { seen = published; truth = highestAfter(seen) }
     low = slots[slotOf(add(seen, WRAP - 1))].highestLow;
     high = slots[slotOf(add(seen, WRAP - 1))].highestHigh;
#ifdef OBSERVER_NO_RECHECK
     assert(low == truth && high == truth)
#else
     if
     :: intact(distance(published, seen)) -> assert(low == truth && high == truth)
     :: else
     fi
#endif
     d_step { seen = 0; low = 0; high = 0; truth = 0 }
  od
}
#endif

init {
  atomic {
    byte i;
    published = START; consumed = START; made = START;
    for (i : 1 .. (START == 0 -> 0 : SLOTS)) { /* what lies in the slots from before */
      slots[slotOf(START - i)].length = contentOf(START - i);
      slots[slotOf(START - i)].payload = contentOf(START - i);
      slots[slotOf(START - i)].header = contentOf(START - i);
      slots[slotOf(START - i)].highestLow = contentOf(START - i);
      slots[slotOf(START - i)].highestHigh = contentOf(START - i)
    }
    run Producer(1);
#ifdef HANDOVER
    run Producer(2);
#endif
    run Consumer();
#ifdef OBSERVER
    run Observer();
#endif
  }
}
