/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a pipe: the end, however much was written. */
#include "capture.h"

#include "fd.h"
#include "test.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static struct artel_capture *capture;
static int child_fd = -1;

static void put(const char *bytes, size_t len)
{
    CHECK_INT(len, write(child_fd, bytes, len));
}

static void nothing_is_kept_of_nothing(void)
{
    CHECK_INT(0, artel_capture_new(&capture, &child_fd));
    artel_capture_drain(capture);
    CHECK_INT(0, capture->len);
    CHECK(!capture->ended);
    artel_fd_close(&child_fd);
    artel_capture_drain(capture);
    CHECK(capture->ended);
    artel_capture_free(capture);
}

static void the_last_bytes_are_kept(void)
{
    char block[1000];
    CHECK_INT(0, artel_capture_new(&capture, &child_fd));
    for (int i = 0; i < 20; i++) {
        memset(block, 'a' + i, sizeof block);
        put(block, sizeof block);
        if (i % 3 == 0) {
            artel_capture_drain(capture);
        }
    }
    put("end", 3);
    artel_capture_drain(capture);
    CHECK_INT(ARTEL_CAPTURE_LEN, capture->len);
    CHECK(memcmp(capture->text + capture->len - 3, "end", 3) == 0);
    CHECK_INT('a' + 19, capture->text[capture->len - 4]);
    CHECK_INT('a' + 15, capture->text[0]);
    artel_fd_close(&child_fd);
    artel_capture_free(capture);
}

static void a_writer_without_end_holds_nobody(void)
{
    static const char BLOCK[65536];
    CHECK_INT(0, artel_capture_new(&capture, &child_fd));
    pid_t writer = fork();
    if (writer == 0) {
        while (write(child_fd, BLOCK, sizeof BLOCK) > 0) {
        }
        _exit(0);
    }
    artel_fd_close(&child_fd);
    alarm(60); /* ends the test when it does not */
    for (int i = 0; i < 20; i++) {
        artel_capture_drain(capture);
    }
    alarm(0);
    CHECK(!capture->ended);
    kill(writer, SIGKILL);
    CHECK_INT(writer, waitpid(writer, NULL, 0));
    artel_capture_free(capture);
}

int main(void)
{
    RUN(nothing_is_kept_of_nothing);
    RUN(the_last_bytes_are_kept);
    RUN(a_writer_without_end_holds_nobody);
    return 0;
}
