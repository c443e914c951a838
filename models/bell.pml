/*
 * The event ring's doorbell: src/stage/events.ts (EventWriter.#publish, EventReader.drain), the message that worker.ts
 * posts as ringBell and start-stage.ts answers with drainEvents, the last drain in controlled-stage.ts (finish).
 *
 * The ring has two slots; the stage owns a place for each event (an `ended` per connection, a share for log lines), so
 * it waits here for room where the program never finds itself without. Counters wrap at eight. Every drain takes at
 * most one turn of the ring. Messages are counted; one more than the ring has slots is more than there can ever be.
 *
 * ENDLESS   events without end: under weak fairness each is taken some day
 * EXITS     the stage's thread ends; what is left is taken then
 */
#define SLOTS 2
#define WRAP 8
#define add(a, b) (((a) + (b)) % WRAP)
#define distance(a, b) (((a) + WRAP - (b)) % WRAP)

byte published, consumed;
byte content[SLOTS];
bit doorbell;
byte messages; /* posted and not yet handled */
bit exited;
#ifdef ENDLESS
bit watched; /* nothing of the program: this event is to be taken some day */
byte watching;
#endif
byte delivered; /* nothing of the program: events that listeners got, wrapping */

proctype Stage() {
  bit old;

  do
  :: distance(published, consumed) < SLOTS ->
#ifdef BELL_BEFORE_PUBLISH
     d_step { old = doorbell; doorbell = 1 }
     if :: old == 0 -> messages++ :: else fi;
#endif
     content[published % SLOTS] = published + 1;
     d_step {
#ifdef ENDLESS
       if :: !watched -> watched = 1; watching = published :: else fi;
#endif
       published = add(published, 1)
     }
     /* Atomics.exchange(doorbell, 1) */
#ifndef BELL_BEFORE_PUBLISH
#ifdef LOOKS_THEN_SETS
     old = doorbell;
#else
     d_step { old = doorbell; doorbell = 1 }
#endif
     if :: old == 0 -> messages++; assert(messages <= SLOTS + 1) :: else fi;
#ifdef LOOKS_THEN_SETS
     doorbell = 1;
#endif
#endif
     old = 0
#ifndef ENDLESS
  :: break /* any number of events */
#endif
  od
#ifdef EXITS
  ; exited = 1
#endif
}

proctype Reader() {
  byte most, event;
  bit last;

end:
  do
  :: atomic { messages > 0 -> messages-- }
     /* EventReader.drain */
drain:
#ifndef CLEARS_AFTER_LOOK
     doorbell = 0;
#endif
     most = SLOTS;
     do
     :: most > 0 ->
        if
        :: published == consumed -> break
        :: else ->
#ifdef RELEASES_BEFORE_READING
           consumed = add(consumed, 1);
           event = content[add(consumed, WRAP - 1) % SLOTS];
#else
           event = content[consumed % SLOTS];
           consumed = add(consumed, 1);
#endif
           d_step {
             assert(event == delivered + 1);
#ifdef ENDLESS
             if :: watching == delivered -> watched = 0 :: else fi;
#endif
             delivered = add(delivered, 1); event = 0;
             most--
           }
        fi
     :: else -> break
     od;
     most = 0;
#ifdef CLEARS_AFTER_LOOK
     doorbell = 0;
#endif
     if :: last -> break :: else fi
  :: atomic { exited && !last && messages == 0 -> last = 1; goto drain } /* ControlledStage.finish */
  od;
  assert(published == delivered)
}

#ifdef ENDLESS
ltl taken { [] (watched -> <> !watched) }
#endif

#ifndef ENDLESS
proctype Quiet() {
end:
  timeout -> assert(published == delivered) /* an event without a bell */
}
#endif

init {
  atomic {
    run Stage();
    run Reader();
#ifndef ENDLESS
    run Quiet()
#endif
  }
}
