/*
 * The end of a stage and late wake-ups: src/stage/waker.ts (wake, mute), src/stage/open-stage.ts (openStage, close),
 * src/stage/controlled-stage.ts (finish), src/stage/start-stage.ts (the Worker's exit), src/stage/response-stage.ts
 * (park, #enter), native/owned_descriptors.cc (a control thread that is terminated: the state first, then the close).
 *
 * A descriptor is a number; what it stands for changes when it is closed and a stranger opens something, who gets the
 * lowest number that is free. Nobody may ever write to a stranger's.
 */
#define RUNNING 1
#define FAILED 4
#define CLOSED 5

#define NOTHING 0
#define WAKE 1
#define STRANGER 2
#define NUMBERS 4
byte table[NUMBERS];

bit parked;
byte state = RUNNING;
bit threadEnded;

inline openLowest(what, number) {
  d_step {
    number = 0;
    do
    :: number < NUMBERS && table[number] != NOTHING -> number++
    :: else -> break
    od;
    if :: number < NUMBERS -> table[number] = what :: else fi
  }
}

/* Waker.wake, then the write of the thread's own number */
inline wake(number, muted) {
  if
  :: parked == 0
  :: else ->
     d_step { won = parked; parked = 0 }
     if
     :: won ->
#ifndef NO_STATE_CHECK
        if
        :: state < FAILED ->
#endif
           if
#ifndef NEVER_MUTED
           :: muted
#endif
           :: else -> assert(table[number] == WAKE) /* native/wake_descriptor.cc, wake */
           fi
#ifndef NO_STATE_CHECK
        :: else
        fi
#endif
     :: else
     fi
  fi;
  won = 0
}

/* The stage's thread: parks and comes back; it may end in order, or be terminated anywhere. */
proctype Stage() {
  do
  :: parked = 1; if :: skip :: goto dead fi; parked = 0
  :: state = CLOSED; goto dead
  :: goto dead
  od;
dead:
  threadEnded = 1
}

/* The thread that called startStage: wakes by the number that it made, until finish(). */
proctype Control() {
  bit won, muted;

  do
  :: wake(0, muted)
  :: threadEnded && !muted ->
     /* ControlledStage.finish */
#ifdef CLOSES_BEFORE_STATE
     table[0] = NOTHING;
#endif
     if :: state < FAILED -> state = FAILED :: else fi;
     muted = 1;
#ifndef CLOSES_BEFORE_STATE
     table[0] = NOTHING
#endif
  :: muted -> break
  od
}

/* Another thread: openStage, wakes, close(), and wakes again. */
proctype Opener() {
  bit won, muted;
  byte own = NUMBERS;

again:
  muted = 0;
#ifdef CHECKS_BEFORE_DUP
  if :: state >= FAILED -> goto stop :: else fi;
#endif
  /* dupFd(wakeFdOf(memory)) */
  if
  :: table[0] == NOTHING -> goto stop /* EBADF */
  :: openLowest(table[0], own)
  fi;
  if :: own == NUMBERS -> goto stop :: else fi;
#ifndef CHECKS_BEFORE_DUP
  if
  :: state >= FAILED -> table[own] = NOTHING; goto stop /* ERR_ACKGATE_STAGE_CLOSED */
  :: else
  fi;
#endif
  do
  :: wake(own, muted)
  :: !muted -> muted = 1; table[own] = NOTHING /* OpenedStage.close */
  :: muted -> break
  od;
  if :: goto again :: skip fi;
stop:
  skip
}

/* Opens and closes files of its own, in the same process. */
proctype Stranger() {
  byte own;

end:
  do
  :: openLowest(STRANGER, own);
     if
     :: own < NUMBERS -> table[own] = NOTHING
     :: own < NUMBERS -> break
     :: else
     fi
  od
}

init {
  atomic {
    table[0] = WAKE;
    run Stage();
    run Control();
    run Opener();
    run Stranger()
  }
}
