/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the two ends of src/core/shared_transport.c, with doorbell.c, sleep and wake each
 * other, step by step: each look at a shared word, each store and each system call is one
 * step, and spin tries every order of the steps of both ends. tools/checks/model runs it.
 *
 * Each end sends some bytes through a ring of SIZE, says that nothing follows, reads until
 * the end, and closes; how it waits is drawn. With DEATH one of them may be killed between
 * any two steps. A lost wake-up is a state in which somebody sleeps for ever; an end that
 * spins is a cycle in which no byte moves. Sleeps have no time-out here.
 *
 * Left out: what the bytes are, looking for a while before a sleep, liars (ring_fuzz.c).
 *
 * BREAK=... leaves out one thing that the protocol rests on, which must be found.
 */
#ifndef SIZE
#define SIZE 2
#endif
/* What end 0, the master, and end 1, the worker, send. */
#ifndef COUNT_0
#define COUNT_0 3
#endif
#ifndef COUNT_1
#define COUNT_1 1
#endif

#define LATE_FLAG 1      /* says that it sleeps after the last look at the ring */
#define EARLY_LOOK 2     /* looks whether the reader sleeps before it stores its position */
#define NO_ROOM_BELL 3   /* the reader does not ring for room */
#define DEAF_TO_DEATH 4  /* a sleep is not ended by the end of the doorbell */
#define GREEDY 5         /* takes every byte of the doorbell, not only those owed */
#define LASTING_WISH 6   /* what has rung for input ends a sleep for room */
#define STALE_END 7      /* looks whether the end has come after it found nothing */
#ifndef BREAK
#define BREAK 0
#endif

/* ring[e] is the one that end e reads. */
typedef Ring {
  byte head;
  byte tail;
  bit closed;
  bit gone;
  bit readerSleeps;
  bit writerSleeps
};
Ring ring[2];
byte bell[2]; /* bytes that wait at the doorbell of an end */
bit hungUp[2]; /* the other side of that doorbell is closed */
bit killed[2];

#define IN ring[me]
#define OUT ring[1 - me]
#define UNREAD (IN.head - IN.tail)
#define ROOM (SIZE - (OUT.head - OUT.tail))
#define IS_RUNG (bell[me] > 0 || (hungUp[me] && BREAK != DEAF_TO_DEATH))

/* ---- the doorbell ---- */

inline ringDoorbell() {
  if
  :: hungUp[me] -> ended = 1
  :: else -> bell[1 - me]++
  fi
}

/* Two looks, the second of which takes it back. */
inline wake(sleeps) {
  if
  :: sleeps ->
    if
    :: atomic { sleeps -> sleeps = 0 }; ringDoorbell()
    :: !sleeps
    fi
  :: else
  fi
}

inline say(said, sleeps) {
  if
  :: said && sleeps
  :: said && !sleeps -> owed++; sleeps = 1
  :: !said -> said = 1; sleeps = 1
  fi
}

inline unsay(said, sleeps) {
  if
  :: said && sleeps -> sleeps = 0 /* one step with the guard, below in an atomic */
  :: said && !sleeps -> owed++
  :: else
  fi;
  said = 0
}

inline unsayInput() { atomic { unsay(saidInput, IN.readerSleeps) } }
inline unsayRoom() { atomic { unsay(saidRoom, OUT.writerSleeps) } }

inline lookAtDoorbell() {
  atomic {
    if
    :: bell[me] > 0 && (owed > 0 || BREAK == GREEDY) ->
      if
      :: BREAK == GREEDY || owed >= bell[me] ->
        owed = (owed > bell[me] -> owed - bell[me] : 0); bell[me] = 0
      :: else -> bell[me] = bell[me] - owed; owed = 0
      fi
    :: bell[me] > 0 && owed <= 0 && BREAK != GREEDY ->
      /* no stranger's, so nothing is eaten here */
      assert(saidInput && !IN.readerSleeps || saidRoom && !OUT.writerSleeps)
    :: bell[me] == 0 && hungUp[me] -> ended = 1
    :: bell[me] == 0 && !hungUp[me]
    fi
  }
}

/* ---- what there is to do ---- */

inline lookForInput() {
  found = 0;
  if
  :: UNREAD != 0 -> found = 1
  :: else ->
    if
    :: IN.closed || ended -> found = 1
    :: else
    fi
  fi
}

inline lookForRoom() {
  found = 0;
  if
  :: ROOM >= (SIZE + 1) / 2 -> found = 1
  :: else ->
    if
    :: OUT.gone || ended -> found = 1
    :: else
    fi
  fi
}

/* ---- reading: got, or atEnd, or neither ---- */

inline takeInput() {
  got = 0;
  atEnd = 0;
  if
  :: BREAK == STALE_END
  :: BREAK != STALE_END && (ended || IN.closed) -> atEnd = 1
  :: else
  fi;
  do
  :: UNREAD != 0 ->
progressRead:
    got = 1;
    IN.tail++;
    if
    :: IN.writerSleeps && BREAK != NO_ROOM_BELL ->
      if
      :: UNREAD <= SIZE / 2 -> wake(IN.writerSleeps)
      :: else
      fi
    :: else
    fi
  :: UNREAD == 0 -> break
  od;
  if
  :: BREAK == STALE_END && (ended || IN.closed) -> atEnd = 1
  :: else
  fi;
  if
  :: got -> atEnd = 0
  :: atEnd -> assert(UNREAD == 0) /* nothing is lost before the end */
  :: else
  fi
}

inline readNow() {
  takeInput();
  if
  :: !got && !atEnd && watchers ->
    say(saidInput, IN.readerSleeps);
    takeInput();
    if
    :: !got && !atEnd -> lookAtDoorbell(); takeInput()
    :: else
    fi
  :: else
  fi;
  if
  :: (got || atEnd) && !watchers -> unsayInput()
  :: else
  fi
}

inline sleepOnDoorbell() {
  if
  :: watchers -> IS_RUNG
  :: else ->
    if
    :: atomic { bell[me] > 0 -> taken = bell[me]; bell[me] = 0 };
      unsayInput();
      /* No stranger rings here, so the account is exact: what is not owed yet can only have
       * rung for room. */
      atomic {
        owed = owed - taken; taken = 0;
        assert(owed >= 0 || owed == -1 && saidRoom && !OUT.writerSleeps || BREAK == GREEDY)
      }
    :: atomic { bell[me] == 0 && IS_RUNG -> ended = 1 }
    fi
  fi
}

inline readBlocking() {
  takeInput();
  if
  :: !got && !atEnd ->
    if
    :: BREAK != LATE_FLAG -> say(saidInput, IN.readerSleeps); lookForInput()
    :: else -> lookForInput(); say(saidInput, IN.readerSleeps)
    fi;
    if
    :: !found && owed > 0 -> lookAtDoorbell(); found = ended
    :: else
    fi;
    if
    :: !found -> sleepOnDoorbell()
    :: else
    fi;
    takeInput()
  :: else
  fi;
  if
  :: (got || atEnd) && !watchers -> unsayInput()
  :: else
  fi
}

/* ---- writing: as much of left as fits ---- */

inline giveOutput() {
  do
  :: left > 0 && ROOM > 0 ->
progressWrite:
    sent = 1;
    left--;
    if
    :: BREAK != EARLY_LOOK -> OUT.head++; wake(OUT.readerSleeps)
    :: else -> found = OUT.readerSleeps; OUT.head++;
      if
      :: found -> wake(OUT.readerSleeps)
      :: else
      fi
    fi
  :: left > 0 && ROOM == 0 -> break
  :: left == 0 -> unsayRoom(); break
  od
}

inline writeNow() {
  sent = 0;
  if
  :: ended || OUT.gone -> left = 0
  :: else ->
    giveOutput();
    if
    :: !sent && left > 0 ->
      if
      :: saidRoom && !OUT.writerSleeps ->
        say(saidRoom, OUT.writerSleeps);
        lookForRoom();
        if
        :: found -> giveOutput()
        :: else
        fi
      :: else
      fi;
      lookAtDoorbell();
      if
      :: ended -> left = 0
      :: else
      fi
    :: else
    fi
  fi
}

/* ---- waiting: for input, for room, or for both ---- */

inline lookForBoth(wantRead, wantWrite) {
  found = 0;
  if
  :: wantRead -> lookForInput()
  :: else
  fi;
  if
  :: !found && wantWrite -> lookForRoom()
  :: else
  fi
}

inline sayBoth(wantRead, wantWrite) {
  if
  :: wantRead -> say(saidInput, IN.readerSleeps)
  :: !(wantRead) && (BREAK != LASTING_WISH || !watchers) -> unsayInput()
  :: else
  fi;
  if
  :: wantWrite -> say(saidRoom, OUT.writerSleeps)
  :: else -> unsayRoom()
  fi
}

inline arm(wantRead, wantWrite) {
  if
  :: BREAK != LATE_FLAG ->
    sayBoth(wantRead, wantWrite); lookForBoth(wantRead, wantWrite)
  :: else ->
    lookForBoth(wantRead, wantWrite); sayBoth(wantRead, wantWrite)
  fi;
  if
  :: !found && owed > 0 -> lookAtDoorbell(); found = ended
  :: else
  fi
}

/* As poll() after arm(). */
inline await(wantRead, wantWrite) {
  arm(wantRead, wantWrite);
  if
  :: !found -> IS_RUNG
  :: else
  fi
}

/* ---- an end, from its first byte to its close ---- */

mtype = { blocks, loops, watches };

proctype End(bit me; byte count; bit readsToWrite) {
  short owed;
  byte taken, left = count;
  bit saidInput, saidRoom, ended, watchers, found, got, atEnd, sent;
  mtype manner;

  { if
    :: manner = blocks
    :: manner = loops
    :: manner = watches -> watchers = 1; arm(1, 0)
    fi;

    /* Writes all. A master that waits for room reads meanwhile, a worker does not. */
    do
    :: left > 0 ->
      writeNow();
      if
      :: left > 0 ->
        watchers = manner == watches || manner == loops && readsToWrite && !atEnd;
        await(readsToWrite && !atEnd, 1);
        if
        :: readsToWrite && !atEnd -> readNow()
        :: else
        fi
      :: else
      fi
    :: left == 0 -> break
    od;
    OUT.closed = 1;
    wake(OUT.readerSleeps);

    /* Reads all. */
    do
    :: atEnd -> break
    :: !atEnd && manner == blocks -> watchers = 0; readBlocking()
    :: !atEnd && manner == loops -> watchers = 1; await(1, 0); readNow()
    :: !atEnd && manner == watches ->
      readNow();
      if
      :: !got && !atEnd -> IS_RUNG
      :: else
      fi
    od;

    IN.gone = 1;
    wake(IN.writerSleeps)
  }
#ifdef DEATH
  unless { killed[me] }
#endif
  ;
  hungUp[1 - me] = 1
}

init {
  atomic {
    run End(0, COUNT_0, 1);
    run End(1, COUNT_1, 0)
  };
#ifdef DEATH
  if
  :: killed[0] = 1
  :: killed[1] = 1
  fi
#endif
}
