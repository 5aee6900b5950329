/* SPDX-License-Identifier: Apache-2.0 */
/* A socket that somebody has put in the place of ours is not given away. */
#include "socket_file.h"

#include "test.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[] = "/tmp/artel-socket-file-test-XXXXXX";
static char path[sizeof folder + 20];
static char other[sizeof folder + 20];

static int guard(mode_t mode)
{
    dev_t device;
    ino_t inode;
    return artel_socket_file_guard(path, (uid_t)-1, (gid_t)-1, mode, &device, &inode);
}

static unsigned mode_of(const char *name)
{
    struct stat facts;
    CHECK_INT(0, lstat(name, &facts));
    return facts.st_mode & 07777;
}

static void our_own_gets_its_mode(void)
{
    CHECK_INT(0, guard(0660));
    CHECK_INT(0660, mode_of(path));
}

static void a_second_name_of_anothers_is_refused(void)
{
    CHECK_INT(0, chmod(path, 0600));
    CHECK_INT(0, link(path, other));
    CHECK_INT(-EPERM, guard(0666));
    CHECK_INT(0600, mode_of(path));
    CHECK_INT(0, unlink(other));
}

static void one_of_another_user_is_refused(void)
{
    if (geteuid() != 0) {
        return; /* only root can make one */
    }
    CHECK_INT(0, chown(path, 1, 1));
    CHECK_INT(-EPERM, guard(0666));
    CHECK_INT(0600, mode_of(path));
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_INT(0, bind(fd, (struct sockaddr *)&address, sizeof address));
    RUN(our_own_gets_its_mode);
    RUN(a_second_name_of_anothers_is_refused);
    RUN(one_of_another_user_is_refused);
    close(fd);
    CHECK_INT(0, unlink(path));
    CHECK_INT(0, rmdir(folder));
    return 0;
}
