/* SPDX-License-Identifier: Apache-2.0 */
/* A socket that somebody has put in the place of ours is not given away, and no folder is
 * made for another user where a third one says. */
#include "socket_file.h"

#include "test.h"

#include <errno.h>
#include <stdlib.h>
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

#define THEM 1 /* another user */

static int make_for_them(const char *below)
{
    char whole[sizeof folder + 60];
    snprintf(whole, sizeof whole, "%s/%s/socket", folder, below);
    return artel_socket_file_make_folders(whole, THEM, THEM);
}

static void make(const char *name, uid_t owner)
{
    char whole[sizeof folder + 60];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    CHECK_INT(0, mkdir(whole, 0755));
    CHECK_INT(0, chown(whole, owner, owner));
}

static void make_link(const char *target, const char *name, uid_t owner)
{
    char whole[sizeof folder + 60];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    CHECK_INT(0, symlink(target, whole));
    CHECK_INT(0, lchown(whole, owner, owner));
}

static bool is_theirs(const char *name)
{
    char whole[sizeof folder + 60];
    struct stat facts;
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    return lstat(whole, &facts) == 0 && facts.st_uid == THEM &&
           (facts.st_mode & 07777) == 0700;
}

static void folders_for_others_are_made_where_they_do_not_lead_us(void)
{
    if (geteuid() != 0) {
        return; /* only root can give one away */
    }
    make("ours", 0);
    make("theirs", THEM);
    make_link("../ours", "theirs/link", THEM);
    make_link("../theirs/link", "ours/there", 0);
    make_link(".", "ours/here", 0);
    CHECK_INT(-EPERM, make_for_them("theirs/link/made"));
    CHECK_INT(-EPERM, make_for_them("ours/there/made"));
    CHECK(!is_theirs("ours/made"));
    CHECK_INT(0, make_for_them("theirs/made"));
    CHECK(is_theirs("theirs/made"));
    CHECK_INT(0, make_for_them("ours/here/made/further"));
    CHECK(is_theirs("ours/made") && is_theirs("ours/made/further"));
    CHECK_INT(0, make_for_them("theirs/link/made/again")); /* in one of theirs */
    CHECK(is_theirs("ours/made/again"));
    char command[sizeof folder + 60];
    snprintf(command, sizeof command, "rm -r %s/ours %s/theirs", folder, folder);
    CHECK_INT(0, system(command));
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
    RUN(folders_for_others_are_made_where_they_do_not_lead_us);
    close(fd);
    CHECK_INT(0, unlink(path));
    CHECK_INT(0, rmdir(folder));
    return 0;
}
