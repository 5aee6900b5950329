/* SPDX-License-Identifier: Apache-2.0 */
/* Locks in Lua's hands, and how that of an address goes when the process does. */
#include "../core/lock.h"

#include "../core/clock.h"
#include "../core/file.h"
#include "../core/identity.h"
#include "../core/socket_file.h"
#include "class.h"
#include "error.h"
#include "sockets.h"
#include "wait.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TYPE "artel.Lock"
#define FAULT_LEN 400

struct lock_box {
    struct artel_lock *lock; /* NULL once given up; on the heap, for it may outlive Lua */
    bool stays;              /* the file does, when the lock is given up */
};

/* The lock that goes with the process, or NULL; its box does not free it. */
static struct artel_lock *lock_of_process;

static int remove_lock(lua_State *L)
{
    struct lock_box *box = luaL_checkudata(L, 1, LOCK_TYPE);
    if (box->lock != NULL && box->lock != lock_of_process) {
        if (box->stays) {
            artel_lock_release(box->lock);
        } else {
            artel_lock_remove(box->lock);
        }
        free(box->lock);
    }
    box->lock = NULL;
    return 0;
}

static struct artel_lock *check_lock(lua_State *L)
{
    struct lock_box *box = luaL_checkudata(L, 1, LOCK_TYPE);
    luaL_argcheck(L, box->lock != NULL, 1, "the lock was given up");
    return box->lock;
}

static struct artel_lock *new_lock(lua_State *L)
{
    static const luaL_Reg METAMETHODS[] = {{"__gc", remove_lock}, {NULL, NULL}};
    struct lock_box *box = lua_newuserdatauv(L, sizeof *box, 0);
    box->lock = NULL;
    box->stays = false;
    artel_set_class(L, LOCK_TYPE, METAMETHODS);
    box->lock = malloc(sizeof *box->lock);
    if (box->lock == NULL) {
        luaL_error(L, "not enough memory");
        return NULL; /* not reached */
    }
    artel_lock_init(box->lock);
    return box->lock;
}

static int push_lock_failure(lua_State *L, int status, const char *fault)
{
    return artel_push_failure(L, status == -ETIMEDOUT ? "timeout" : "listen", status,
                              "%s", fault);
}

/* Whom the files of a worker must belong to, so that it can remove them: the user that it
 * will become. False when it stays who it is. */
static bool find_owner(lua_State *L, int user_index, struct artel_lock_owner *owner)
{
    struct artel_identity identity;
    const char *user = luaL_optstring(L, user_index, NULL);
    if (user == NULL || artel_identity_find(&identity, user) < 0 ||
        !artel_identity_may_take(&identity)) {
        return false;
    }
    *owner = (struct artel_lock_owner){identity.uid, identity.gid, 0600};
    return true;
}

/* Whether the lock, too, shall be that user's: in their own folder, and where nobody can
 * remove what is another's. Elsewhere it stays ours, since a start that fails because the
 * user may not use the folder leaves it behind. */
static bool belongs_to(const struct artel_lock_owner *owner, const char *path)
{
    char folder[FAULT_LEN]; /* a lock's path is shorter */
    struct artel_file_facts facts;
    snprintf(folder, sizeof folder, "%.*s/.", (int)(strrchr(path, '/') - path), path);
    return artel_file_stat(folder, &facts) == 0 &&
           (facts.uid == owner->uid || (facts.mode & S_ISVTX) != 0);
}

static int make_folders(const struct artel_address *address,
                        const struct artel_lock_owner *owner, char *fault,
                        size_t fault_len)
{
    int status = artel_socket_file_make_folders(address->path,
                                                owner != NULL ? owner->uid : (uid_t)-1,
                                                owner != NULL ? owner->gid : (gid_t)-1);
    if (status < 0) {
        snprintf(fault, fault_len, "cannot make the folders of %s: %s", address->path,
                 strerror(-status));
    }
    return status;
}

static int lock_address(lua_State *L)
{
    struct artel_address address;
    artel_check_address(L, 1, &address);
    int64_t deadline = artel_check_deadline(L, 2);
    struct artel_lock_owner found;
    struct artel_lock_owner *owner = find_owner(L, 3, &found) ? &found : NULL;
    char fault[FAULT_LEN] = "";
    int status = address.is_unix ? make_folders(&address, owner, fault, sizeof fault) : 0;
    struct artel_lock *lock = new_lock(L);
    char *path = NULL;
    if (status == 0) {
        status = artel_lock_path_of_address(
            &path, &address, owner != NULL ? owner->uid : geteuid(), fault, sizeof fault);
    }
    if (status == 0 && owner != NULL && !belongs_to(owner, path)) {
        owner = NULL;
    }
    while (status == 0 &&
           (status = artel_lock_take(lock, path, ARTEL_LOCK_EXCLUSIVE, owner, deadline,
                                     fault, sizeof fault)) == -EINTR) {
        status = 0;
    }
    free(path);
    return status == 0 ? 1 : push_lock_failure(L, status, fault);
}

/* lockFile(path, exclusive, timeout, uid, gid, mode) */
static int lock_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    enum artel_lock_mode mode =
        lua_toboolean(L, 2) ? ARTEL_LOCK_EXCLUSIVE : ARTEL_LOCK_SHARED;
    int64_t deadline = artel_check_deadline(L, 3);
    struct artel_lock_owner owner = {
        .uid = (uid_t)luaL_checkinteger(L, 4),
        .gid = (gid_t)luaL_checkinteger(L, 5),
        .mode = (mode_t)luaL_checkinteger(L, 6),
    };
    struct artel_lock *lock = new_lock(L);
    struct lock_box *box = lua_touserdata(L, -1);
    box->stays = true;
    char fault[FAULT_LEN] = "";
    int status = artel_lock_take(lock, path, mode, &owner, deadline, fault, sizeof fault);
    if (status == 0) {
        return 1;
    }
    bool again = status == -ETIMEDOUT || status == -EINTR;
    return artel_push_failure(L, again ? "timeout" : "disabled", status, "%s", fault);
}

static int pause_lock(lua_State *L)
{
    artel_lock_pause(check_lock(L));
    return 0;
}

static int resume_lock(lua_State *L)
{
    struct artel_lock *lock = check_lock(L);
    int64_t deadline = artel_check_deadline(L, 2);
    char fault[FAULT_LEN] = "";
    int status = artel_lock_resume(lock, deadline, fault, sizeof fault);
    if (status < 0) {
        return push_lock_failure(L, status, fault);
    }
    lua_pushboolean(L, true);
    return 1;
}

/*
 * Runs when the process exits, after lua_close or instead of it: os.exit, or luv after an
 * error in a callback. The socket file goes first, and the lock only when nothing of the
 * worker is at work any more.
 */
static void clean_up(void)
{
    char fault[FAULT_LEN];
    struct artel_lock *lock = lock_of_process;
    if (lock != NULL && !lock->held && lock->owner == getpid()) {
        (void)artel_lock_resume(lock, artel_clock_deadline_ms(0), fault, sizeof fault);
    }
    artel_listeners_close_all();
    if (lock != NULL) {
        artel_lock_remove(lock); /* only if it is held, and by us, not a forked copy */
    }
}

static int clean_up_at_exit(lua_State *L)
{
    struct artel_lock *lock = check_lock(L);
    if (lock_of_process == NULL) {
        if (atexit(clean_up) != 0) {
            return luaL_error(L, "not enough memory");
        }
        lock_of_process = lock;
    }
    return 0;
}

void artel_lock_register(lua_State *L)
{
    static const luaL_Reg FUNCTIONS[] = {{"lockAddress", lock_address},
                                         {"lockFile", lock_file},
                                         {"pauseLock", pause_lock},
                                         {"resumeLock", resume_lock},
                                         {"removeLock", remove_lock},
                                         {"cleanUpAtExit", clean_up_at_exit},
                                         {NULL, NULL}};
    luaL_setfuncs(L, FUNCTIONS, 0);
}
