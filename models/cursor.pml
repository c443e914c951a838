/*
 * One cursor line: src/gate/cursor-lines.ts (read, write, activate, deactivate, #store, #clear, #lock, #unlock) as
 * src/gate/cursors.ts (ConnectionCursor.connect, advance, disconnect) calls it, and the reader's use of the version in
 * src/gate/gate.ts (changed, #snapshot). With FRAMES, the line of a node that is fed by frames: src/gate/frame-lines.ts
 * (take, #connect, #raise, #disconnect, silence) as src/gate/silence-watch.ts (#isSilent) calls it.
 *
 * Each 64-bit cursor is two halves, written low, high; every half is one step. The reader gives up after TRIES.
 *
 * OPERATIONS    how many times a line is written
 * TRIES         readTriesMax
 * FRAMES        one thread feeds the line, and waits for the lock; the stage finds the node silent, and only tries it
 * LOOKS         how often it looks
 * TWO_WRITERS   a second thread writes the same line: an error for one of them, but never a torn line
 * UNLOCKED      a reader that looks at no lock sees no cursor of an earlier connection either (halves may be of
 *               different moments of one connection): what seeding before the flag and zeroing after use are for
 */
#ifndef OPERATIONS
#define OPERATIONS 3
#endif
#ifndef LOOKS
#define LOOKS 1
#endif
#ifndef TRIES
#define TRIES 2
#endif

byte lock;
bool connected;
byte memoryLow, memoryHigh, diskLow, diskHigh;

/* Nothing of the program: the state that the writer means, and whether a write is under way. Every write uses new
   values, so that halves of different writes never look alike. */
bool trueConnected;
byte trueMemory, trueDisk;
byte clock;
byte firstOfConnection; /* values from here on belong to the present connection */
byte inside;
byte writersLeft;

/* tryLockLine; `won` is false where CursorLines.#lock throws ERR_ACKGATE_CURSOR_CONTENDED */
inline takeLock() {
  version = lock;
  won = false;
  if
  :: (version & 1) == 0 ->
#ifdef LOCK_WITHOUT_EXCHANGE
     lock = version + 1; won = true
#else
     d_step { if :: lock == version -> lock = version + 1; won = true :: else fi }
#endif
  :: else
  fi;
  if :: won -> d_step { inside++; assert(inside == 1) } :: else fi
}
/* unlockLine */
inline unlock() {
  d_step { inside--; lock++ }
}

inline storeBoth(memory, disk) {
  memoryLow = memory; memoryHigh = memory;
  diskLow = disk; diskHigh = disk
}

inline activate() {
#ifdef FLAG_OUTSIDE_LOCK
  connected = true;
#endif
  takeLock();
  if
  :: won ->
     d_step { clock++; fresh = clock; firstOfConnection = fresh; trueConnected = true; trueMemory = fresh; trueDisk = fresh }
#ifdef FLAG_BEFORE_SEED
     connected = true;
     storeBoth(fresh, fresh);
#else
     storeBoth(fresh, fresh);
     connected = true;
#endif
     unlock()
  :: else
  fi
}

inline write() {
  takeLock();
  if
  :: won ->
     d_step {
       clock++; fresh = clock;
       if :: trueMemory = fresh :: trueDisk = fresh :: trueMemory = fresh; trueDisk = fresh fi
     }
     memoryLow = trueMemory; memoryHigh = trueMemory;
     diskLow = trueDisk; diskHigh = trueDisk;
     unlock()
  :: else
  fi
}

inline deactivate() {
#ifdef FLAG_LOWERED_OUTSIDE_LOCK
  connected = false;
#endif
  takeLock();
  if
  :: won ->
     d_step { trueConnected = false; trueMemory = 0; trueDisk = 0 }
#ifndef DISCONNECT_KEEPS
     storeBoth(0, 0);
#else
     d_step { trueMemory = memoryLow; trueDisk = diskLow }
#endif
     connected = false;
     unlock()
  :: else
  fi
}

proctype Writer() {
  byte version, fresh, done;
  bool won;

  do
  :: done < OPERATIONS ->
     if
     :: !connected -> activate()
     :: connected -> write()
     :: connected -> deactivate()
     :: connected -> deactivate(); activate() /* connect() of a node that is connected already */
     fi;
     done++
  :: break /* any number of writes up to OPERATIONS */
  od;
  writersLeft--
}

#ifdef FRAMES
byte heard; /* when the last frame was taken: later with each */

inline setBoth(memory, disk) {
  d_step { trueConnected = true; trueMemory = memory; trueDisk = disk }
}

proctype Feeder() {
  byte version, fresh, done;
  bool won;

  do
  :: done < OPERATIONS ->
     /* lockLineSoon */
     do
     :: takeLock(); if :: won -> break :: else fi
     od;
     skip;
     d_step { clock = clock + 2; fresh = clock - 1 }
     heard++;
     if
     :: connected -> /* the epoch goes on: #raise */
        if
        :: setBoth(clock, trueDisk); memoryLow = clock; memoryHigh = clock
        :: setBoth(trueMemory, fresh); diskLow = fresh; diskHigh = fresh
        :: skip /* a sign of life only */
        fi
     :: true -> /* the first one, or a new epoch: #connect */
        setBoth(clock, fresh);
        storeBoth(0, 0);
        connected = false;
        firstOfConnection = fresh;
        storeBoth(fresh, fresh);
        connected = true;
        memoryLow = clock; memoryHigh = clock
     fi;
     unlock();
     d_step { done++; version = 0; fresh = 0; won = false }
  :: break
  od;
  writersLeft--
}

proctype Stage() {
  byte version, seen, looks;
  bool won;

  do
  :: looks < LOOKS ->
     looks++;
     seen = heard; /* too long ago */
#ifdef SILENCES_UNLOCKED
     won = true; inside++;
#else
     takeLock();
#endif
     if
     :: won ->
        if
#ifdef SILENCES_UNSEEN
        :: connected ->
#else
        :: connected && heard == seen ->
#endif
           /* Never a node that has sent a frame since it was looked at. */
           assert(heard == seen);
           d_step { trueConnected = false; trueMemory = 0; trueDisk = 0 }
           storeBoth(0, 0);
           connected = false
        :: else
        fi;
        unlock()
     :: else /* a frame is being taken */
     fi;
     d_step { version = 0; seen = 0; won = false }
  :: break
  od;
  writersLeft--
}
#endif

#define isTrue (gotConnected == trueConnected && low == trueMemory && high == trueMemory && dLow == trueDisk && dHigh == trueDisk)

#ifdef UNLOCKED
#define ofThisConnection(half) ((half) == 0 || (half) >= oldest)
proctype Reader() {
  byte oldest, low;

  do
  :: d_step {
       if :: connected -> oldest = firstOfConnection :: else -> oldest = 0 fi
     }
     if :: oldest > 0 ->
        low = memoryLow; assert(ofThisConnection(low));
        low = memoryHigh; assert(ofThisConnection(low));
        low = diskLow; assert(ofThisConnection(low));
        low = diskHigh; assert(ofThisConnection(low))
     :: else
     fi;
     d_step { low = 0; oldest = 0 }
  :: writersLeft == 0 -> break
  od
}
#else
proctype Reader() {
  byte before, tries, low, high, dLow, dHigh;
  bool gotConnected, ok;
  short seen = -1; /* Gate.#versions */
  bool viewConnected;
  byte viewMemory, viewDisk;

  do
  :: /* Gate.changed */
     if
     :: lock == seen -> if :: writersLeft == 0 -> break :: else fi
     :: else ->
        /* CursorLines.read */
        tries = 0; ok = false;
        do
        :: tries < TRIES ->
           tries++;
           before = lock;
#ifndef IGNORES_ODD
           if :: (before & 1) != 0 -> goto retry :: else fi;
#endif
           gotConnected = connected;
           low = memoryLow; high = memoryHigh;
           dLow = diskLow; dHigh = diskHigh;
#ifdef NO_RECHECK
           ok = true; assert(isTrue);
#else
           /* What is accepted is what the writer meant: at this very moment nobody is inside. */
           d_step { if :: lock == before -> ok = true; assert(isTrue) :: else fi }
#endif
           if :: ok -> break :: else fi;
retry:     skip
        :: else -> break
        od;
        if
        :: ok -> seen = before; viewConnected = gotConnected; viewMemory = low; viewDisk = dLow
        :: else ->
           viewConnected = connected;
#ifdef FAILED_READ_SHOWS_LAST
           viewMemory = low; viewDisk = dLow;
           assert(low == high && dLow == dHigh);
#else
           viewMemory = 0; viewDisk = 0;
#endif
#ifdef FAILED_READ_IS_CURRENT
           seen = lock
#else
           seen = (before | 1)
#endif
        fi;
        d_step { before = 0; tries = 0; low = 0; high = 0; dLow = 0; dHigh = 0; gotConnected = false; ok = false }
     fi
  od;
  /* No change is missed: once the writers rest, the view is what they left. */
  assert(lock != seen || (viewConnected == trueConnected && viewMemory == trueMemory && viewDisk == trueDisk))
}
#endif

init {
  atomic {
#ifdef FRAMES
    writersLeft = 2;
    run Feeder();
    run Stage();
#elif defined(TWO_WRITERS)
    writersLeft = 2;
    run Writer();
    run Writer();
#else
    writersLeft = 1;
    run Writer();
#endif
    run Reader()
  }
}
