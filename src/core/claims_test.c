/* SPDX-License-Identifier: Apache-2.0 */
/* Claim words between two mappings of one page, and between two processes that race. */
#include "claims.h"

#include "fd.h"
#include "memory_file.h"
#include "test.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct artel_claims *master;
static struct artel_claims *worker;
static int fd = -1;

static void open_both(void)
{
    CHECK_INT(0, artel_memory_file_create(&fd, 0));
    CHECK_INT(0, artel_claims_map(&master, fd));
    CHECK_INT(0, artel_claims_map(&worker, fd));
}

static void close_both(void)
{
    artel_claims_unmap(master);
    artel_claims_unmap(worker);
    artel_fd_close(&fd);
}

static void a_request_goes_its_way(void)
{
    open_both();
    artel_claims_queue(master, 7);
    CHECK_INT(ARTEL_CLAIM_QUEUED, artel_claims_state(master, 7));
    CHECK(artel_claims_begin(worker, 7));
    CHECK_INT(ARTEL_CLAIM_BEGUN, artel_claims_state(master, 7));
    CHECK(artel_claims_begun_ms(master, 7) > 0);
    CHECK(!artel_claims_recall(master, 7));
    artel_claims_cancel(master, 7);
    CHECK_INT(ARTEL_CLAIM_CANCELLED, artel_claims_state(worker, 7));
    artel_claims_finish(worker, 7);
    CHECK_INT(ARTEL_CLAIM_DONE, artel_claims_state(master, 7));
    CHECK(artel_claims_run_ns(master, 7) > 0);
    close_both();
}

static void a_recalled_request_never_begins(void)
{
    open_both();
    artel_claims_queue(master, 3);
    CHECK(artel_claims_recall(master, 3));
    CHECK_INT(ARTEL_CLAIM_RECALLED, artel_claims_state(master, 3));
    CHECK(!artel_claims_begin(worker, 3));
    artel_claims_queue(master, 3 + ARTEL_CLAIM_SLOTS); /* the slot's next owner */
    CHECK_INT(0, artel_claims_begun_ms(master, 3 + ARTEL_CLAIM_SLOTS));
    CHECK_INT(ARTEL_CLAIM_NONE, artel_claims_state(worker, 3));
    CHECK(!artel_claims_begin(worker, 3));
    CHECK(artel_claims_begin(worker, 3 + ARTEL_CLAIM_SLOTS));
    close_both();
}

static void what_has_not_begun_cannot_be_cancelled_or_finished(void)
{
    open_both();
    artel_claims_queue(master, 1);
    artel_claims_cancel(master, 1);
    artel_claims_finish(worker, 1);
    CHECK_INT(ARTEL_CLAIM_QUEUED, artel_claims_state(master, 1));
    close_both();
}

static void an_id_without_a_word_begins_and_leaves_the_others_alone(void)
{
    uint32_t id = ARTEL_CLAIM_ID_MAX + 1 + 5;
    open_both();
    artel_claims_queue(master, 5);
    CHECK(artel_claims_begin(worker, id));
    artel_claims_finish(worker, id);
    CHECK_INT(0, artel_claims_run_ns(worker, id));
    CHECK_INT(0, artel_claims_run_ns(worker, 5));
    CHECK_INT(0, artel_claims_begun_ms(worker, 5));
    CHECK(artel_claims_recall(master, 5));
    close_both();
}

static void a_short_file_is_refused(void)
{
    int file = memfd_create("short", MFD_CLOEXEC);
    struct artel_claims *claims = NULL;
    CHECK(file >= 0);
    CHECK(artel_claims_map(&claims, file) < 0);
    CHECK(claims == NULL);
    artel_fd_close(&file);
}

/* For each id exactly one of begin and recall must win, whoever is faster. */
static void one_of_two_processes_wins(void)
{
    enum { ROUNDS = 20000 };
    open_both();
    _Atomic uint32_t *shared =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    _Atomic uint32_t *offered = &shared[0];
    _Atomic uint32_t *answered = &shared[1];
    _Atomic uint32_t *begun = &shared[2];
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (uint32_t id = 1; id <= ROUNDS; id++) {
            while (atomic_load(offered) < id) {
                sched_yield();
            }
            if (artel_claims_begin(worker, id)) {
                atomic_fetch_add(begun, 1);
            }
            atomic_store(answered, id);
        }
        _exit(0);
    }
    uint32_t recalled = 0;
    for (uint32_t id = 1; id <= ROUNDS; id++) {
        artel_claims_queue(master, id);
        atomic_store(offered, id);
        recalled += artel_claims_recall(master, id) ? 1 : 0;
        while (atomic_load(answered) < id) {
            sched_yield();
        }
    }
    int status = 0;
    CHECK_INT(child, waitpid(child, &status, 0));
    CHECK_INT(0, status);
    CHECK_INT(ROUNDS, recalled + atomic_load(begun));
    munmap(shared, 4096);
    close_both();
}

int main(void)
{
    RUN(a_request_goes_its_way);
    RUN(a_recalled_request_never_begins);
    RUN(what_has_not_begun_cannot_be_cancelled_or_finished);
    RUN(an_id_without_a_word_begins_and_leaves_the_others_alone);
    RUN(a_short_file_is_refused);
    RUN(one_of_two_processes_wins);
    return 0;
}
