/* SPDX-License-Identifier: Apache-2.0 */
/* Knows how long to look before sleeping. */
#include "spin.h"

#include "clock.h"

/* Less than this is not worth reading the clock for. */
#define BUDGET_NS_MIN 2000

/* Being woken takes a while itself: a sleep that took little longer than the longest look
 * would have been spared by one. */
#define SHORT_SLEEP_NS (ARTEL_SPIN_NS_MAX + ARTEL_SPIN_NS_MAX / 5)

/* How many short sleeps it takes to try again. More each time that trying did not pay: it
 * never does when the other side can only run while we sleep, however short the sleeps
 * are. */
#define PATIENCE_MIN 4
#define PATIENCE_MAX 4096

/* So many looks that end a wait make up for one that does not. */
#define HITS_PER_MISS 4

/* Looks between two readings of the clock; each pause takes some tens of nanoseconds. */
#define LOOKS_PER_READING 32

static void pause_processor(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield");
#endif
}

void artel_spin_init(struct artel_spin *spin)
{
    *spin = (struct artel_spin){.budget_ns = ARTEL_SPIN_NS_MAX, .patience = PATIENCE_MIN};
}

bool artel_spin_until(struct artel_spin *spin, bool (*ready)(void *of), void *of)
{
    if (spin->budget_ns == 0) {
        return false;
    }
    int64_t began_ns = 0; /* most waits end before the clock is ever read */
    for (;;) {
        for (int i = 0; i < LOOKS_PER_READING; i++) {
            if (ready(of)) {
                spin->budget_ns *= spin->budget_ns < ARTEL_SPIN_NS_MAX ? 2 : 1;
                spin->hits++;
                return true;
            }
            pause_processor();
        }
        int64_t now_ns = artel_clock_now_ns();
        if (began_ns == 0) {
            began_ns = now_ns;
        } else if (now_ns - began_ns >= spin->budget_ns) {
            return false;
        }
    }
}

/* Looking has not paid any more. */
static void give_up(struct artel_spin *spin)
{
    if (spin->hits >= HITS_PER_MISS * spin->misses) {
        spin->patience = PATIENCE_MIN;
    } else if (spin->patience < PATIENCE_MAX) {
        spin->patience *= 2;
    }
    spin->budget_ns = 0;
    spin->hits = 0;
    spin->misses = 0;
    spin->short_sleeps = 0;
}

void artel_spin_slept(struct artel_spin *spin, int64_t slept_ns)
{
    if (spin->budget_ns > 0) {
        spin->misses++;
        spin->budget_ns /= 2;
        if (spin->budget_ns < BUDGET_NS_MIN) {
            give_up(spin);
        }
    } else if (slept_ns <= SHORT_SLEEP_NS && ++spin->short_sleeps >= spin->patience) {
        spin->budget_ns = ARTEL_SPIN_NS_MAX;
    }
}
