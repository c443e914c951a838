/*
 * Parking: src/stage/waker.ts (wake, published, #rouseForRecord, #rouse, stopped), src/stage/response-stage.ts (park,
 * hasWork, doWork, #takeControl, #release, #discard, #endings, #fence, #drain, abandon), src/ring/producer.ts
 * (publish), src/gate/cursors.ts (advance) over src/gate/cursor-lines.ts (write), src/stage/control.ts (#send, take),
 * src/stage/controlled-stage.ts (fence, abandon, close), src/gate/gate.ts (changed, evaluate, hold, forget),
 * native/posix_sender.cc and native/uring_sender.cc (park), native/wake_descriptor.cc (wake, clearWake).
 *
 * Each writer may stop after any of its steps' ends, so that every one of them is the last at some time and a wake-up
 * that is lost isn't made good by the next. The stage never wakes by itself: only the deadline of a drain is left in,
 * for closing depends on it. What the parts do inside is in the other models: here a ring is its counters, a cursor
 * line its version and one cursor, and the socket one send that completes when it likes.
 *
 * URING          the wake descriptor is watched by an armed poll with a completion of its own; else by poll(2)
 * CONTROLS       control calls that are made, 2
 * RECORDS        records that are published, 2
 * ADVANCES       times that the cursor moves, 2
 * LIVE           fairness: whatever happens, it ends with the stage asleep, or closed, and nothing left to do
 * DEATHS         a writer may die between taking the `parked` word and writing the descriptor
 * SLICES         sleeps end by themselves (parkMsMax)
 */
#ifndef CONTROLS
#define CONTROLS 2
#endif
#ifndef RECORDS
#define RECORDS 2
#endif
#ifndef ADVANCES
#define ADVANCES 2
#endif

/* StageState */
#define RUNNING 1
#define DRAINING 2
#define FENCED 3
#define FAILED 4
#define CLOSED 5

/* Word */
bit fence, abandon;
byte parked;       /* Parked: 1 forAnything, 2 unlessRecord */
byte state = RUNNING;

byte published;    /* output ring; record k carries wire sequence k + 1 */
byte version, cursor; /* the primary's cursor line */
byte sent;         /* control ring */
#define PUSH 0
#define DRAIN 1
bit kinds[3];

bit readable;      /* the eventfd's counter is not 0 */
bit underWay, completed; /* a send in the kernel, and its completion */
#ifdef URING
bit wakePoll, wakeCompletion; /* the armed poll in the kernel, and its completion */
#endif

/* What the stage knows; global only so that the claims below can look. */
byte consumed, taken, seenVersion, waitingFor, durable;
bit announced, draining, attached, appended, ending, due, asleep;

#define ended (state >= FAILED)

/* Waker.#rouse */
inline rouse() {
#ifdef DEATHS
  if :: won -> if :: goto stop :: skip fi :: else fi;
#endif
  if
  :: won -> won = 0;
#ifndef TAKES_PARKED_ONLY
     if :: state < FAILED -> readable = 1 :: else fi
#else
     skip
#endif
  :: else
  fi
}

/* Waker.wake */
inline wake() {
  if
  :: parked == 0
  :: else ->
     d_step { won = (parked != 0); parked = 0 } /* exchange(parked, 0) */
     rouse()
  fi
}

/* Waker.published */
inline wakeForRecord() {
  if
  :: parked != 1
  :: else ->
     d_step { won = (parked == 1); if :: won -> parked = 0 :: else fi } /* compareExchange(parked, 1, 0) */
     rouse()
  fi
}

/* Producer.tryPublish by the engine's thread */
proctype Publisher() {
  bit won;
  byte done;

  do
  :: done < RECORDS ->
     if :: state > RUNNING -> break :: else fi; /* Waker.stopped, in claim */
#ifdef WAKE_BEFORE_STORE
     wakeForRecord();
     d_step { published++; done++ }
#else
     d_step { published++; done++ }
     wakeForRecord();
#endif
  :: break
  od;
stop:
  skip
}

/* PrimaryCursor.advance by the journal's thread */
proctype Journal() {
  bit won;
  byte done;

  do
  :: done < ADVANCES ->
     version++; /* #lock */
     cursor++;
     d_step { version++; done++ } /* #unlock */
     wake()
  :: break
  od;
stop:
  skip
}

/* ControlledStage on its thread */
proctype Control() {
  bit won, closing;
  byte done;

  do
  :: done < CONTROLS ->
     if
     :: !closing && fence == 0 -> fence = 1
     :: !closing -> d_step { kinds[sent] = PUSH; sent++ }
     :: !closing -> d_step { closing = 1; kinds[sent] = DRAIN; sent++ }
     :: abandon == 0 -> d_step { abandon = 1; closing = 1 }
     :: else -> break
     fi;
     wake();
     done++
  :: break
  od;
stop:
  skip
}

/* The kernel completes the send that is under way, and the poll of the wake descriptor, whenever it likes. */
proctype Kernel() {
end:
  do
  :: atomic { underWay == 1 && completed == 0 -> completed = 1 }
#ifdef URING
  :: atomic { wakePoll == 1 && readable == 1 -> wakePoll = 0; wakeCompletion = 1 }
#endif
  :: atomic { draining == 1 && due == 0 && !ended -> due = 1 } /* the drain's deadline has come */
  od
}

/* UringSender.collect, PosixSender.collect */
inline collect() {
#ifdef URING
  if :: wakeCompletion -> d_step { wakeCompletion = 0; wakeArmed = 0 } :: else fi;
#endif
  d_step { if :: completed -> completed = 0; underWay = 0; work = 1 :: else fi }
}

#ifdef SLICES
#define sliceOver 1
#else
#define sliceOver 0
#endif
#ifdef FORGETS_DEADLINE
#define wakes (completed || sliceOver)
#else
#define wakes (completed || due || sliceOver)
#endif

/* Sender.park; what it reaps is found by the next round */
inline sleep() {
#ifdef URING
  if :: wakeArmed == 0 -> wakeArmed = 1; wakePoll = 1 :: else fi;
  if :: wakeCompletion -> d_step { wakeCompletion = 0; wakeArmed = 0 } :: else fi;
  if
#ifdef SLEEPS_UNARMED
  :: !completed ->
#else
  :: !completed && wakeArmed ->
#endif
     asleep = 1;
end_asleep:
     d_step { (wakeCompletion || wakes) -> asleep = 0 };
     if :: wakeCompletion -> d_step { wakeCompletion = 0; wakeArmed = 0 } :: else fi
  :: else
  fi;
#else
#ifdef CLEARS_BEFORE_SLEEP
  readable = 0;
#endif
  if
  :: !completed ->
     asleep = 1;
end_asleep:
     d_step { (readable || wakes) -> asleep = 0 }
  :: else
  fi;
#endif
  /* clearWake */
#ifndef CLEARS_BEFORE_SLEEP
  readable = 0
#else
  skip
#endif
}

/* ResponseStage.hasWork, one look after the other; looking on after something was found changes nothing */
inline look() {
#ifndef FORGETS_CONTROL
  found = (sent != taken);
#endif
#ifndef FORGETS_ABANDON
  found = found || abandon;
#endif
#ifndef FORGETS_FENCE
  found = found || (fence && !announced);
#endif
#ifndef FORGETS_CURSORS
  found = found || (version != seenVersion);
#endif
#ifdef HELD_COUNTS_AS_WORK
  found = found || (published != consumed) || (appended && !underWay)
#else
  found = found || (published != consumed && waitingFor == 0) || (appended && !underWay)
#endif
}

/* ResponseStage.park */
inline park() {
#ifdef LOOKS_FIRST
  look();
#endif
#ifdef RECORDS_NEVER_WAKE
  parked = 2;
#else
  parked = (waitingFor == 0 -> 1 : 2);
#endif
#ifdef NO_SECOND_LOOK
  found = 0;
#elif !defined(LOOKS_FIRST)
  look();
#endif
  if :: !found -> sleep() :: else fi;
  d_step { parked = 0; found = 0 }
}

/* ResponseStage.#takeControl */
inline takeControl() {
  if
  :: abandon -> state = CLOSED
  :: else ->
     d_step {
       n = sent - taken;
       do
       :: n > 0 ->
          if
          :: kinds[taken] == PUSH -> appended = attached
          :: kinds[taken] == DRAIN ->
             if :: state == RUNNING -> state = DRAINING :: else fi;
             draining = 1
          fi;
          taken++; n--; work = 1
       :: else -> break
       od
     }
  fi
}

/* Gate.evaluate; a line whose writer is inside for all the tries reads 0, with an odd version. Trying again until the
   writer is out is the same as looking later. */
inline evaluate() {
  d_step {
    if
    :: version == seenVersion
    :: else ->
       seenVersion = version;
       if :: (version & 1) == 0 -> durable = cursor :: else -> durable = 0 fi;
       if :: waitingFor > 0 && waitingFor <= durable -> waitingFor = 0 :: else fi
    fi
  }
}

/* ResponseStage.#release and #discard */
inline release() {
  d_step {
    if
    :: ended
    :: !ended && fence -> work = work || noted; consumed = consumed + noted; waitingFor = 0
    :: else ->
       do
       :: noted > 0 ->
          if
          :: consumed + 1 <= durable -> consumed++; noted--; work = 1; appended = attached
          :: else -> waitingFor = consumed + 1; break
          fi
       :: else -> break
       od
    fi;
    noted = 0
  }
}

/* ResponseStage.#flush: appended bytes go unless a send is under way, and none after a fence */
inline flush() {
  d_step {
    if
    :: !ended && appended && !underWay -> appended = 0; underWay = !fence
    :: else
    fi
  }
}

/* ResponseStage.#endings, #fence, #drain */
inline endings() {
  if
  :: ended
  :: else ->
     if
     :: fence ->
        /* dropAll; a slot is free after its last completion, and found so by the next round */
        d_step { state = FENCED; appended = 0 }
        if
        :: attached -> attached = underWay
        :: !attached && !announced ->
#ifndef FENCE_LEAVES_HELD
           d_step { consumed = published; waitingFor = 0 }
#endif
           announced = 1
        :: else
        fi
     :: else
     fi;
     if
     :: draining ->
        ending = ending || due || (published == consumed && !appended && !underWay);
        if
        :: ending && !underWay -> /* else it waits for the last completion */
           d_step { consumed = published; waitingFor = 0; attached = 0; work = 1 }
           state = CLOSED
        :: else
        fi
     :: else
     fi
  fi
}

proctype Stage() {
  byte noted, n;
  bit work, found;
#ifdef URING
  bit wakeArmed;
#endif

  do
  :: ended -> break
  :: else ->
     /* ResponseStage.doWork */
     noted = published - consumed;
     takeControl();
     collect();
     evaluate();
     release();
     flush();
     endings();
     /* idleStrategy('park') */
     if :: work == 0 -> park() :: else -> work = 0 fi
  od
}

/* What the stage still owes when all is quiet. */
#define unseen (sent != taken || version != seenVersion || completed \
  || (abandon == 1) || (fence == 1 && announced == 0) || draining == 1 \
  || (consumed != published && (fence == 1 || consumed < cursor)))
#define owes (!ended && unseen)

#ifdef LIVE
#ifdef SLICES
ltl settles { <> [] (!owes) }
#else
ltl settles { <> [] ((asleep || ended) && !owes) }
#endif
#else
/* Nobody can move any more: the writers are through and the stage sleeps, or is closed. */
proctype Quiet() {
end:
  timeout -> assert(!owes)
}
#endif

init {
  atomic {
    if :: attached = 1 :: skip fi; /* the records' connection is there, or has gone before */
    run Stage();
    run Kernel();
    run Publisher();
    run Journal();
    run Control();
#ifndef LIVE
    run Quiet()
#endif
  }
}
