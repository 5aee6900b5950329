/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs what allocation_test.lua does again and again, each time with another allocation
 * that fails: the n-th of Lua's and of the core's own, for n = 1, 2, 3 and so on until
 * none has. Once that one alone fails, once all from it on until the deed is done.
 *
 * src/CMakeLists.txt links this program so that the core's and the binding's calls of the
 * functions __wrap_... come here.
 */
#include "core.h"

#include "../core/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lualib.h>
#include <netdb.h>
#include <signal.h>
#include <spawn.h>

#define SCENARIOS "src/binding/allocation_test.lua"

/* A single deed that takes longer hangs. */
#define DEED_TIMEOUT_S 120

/* More descriptors than the test ever has. */
#define FD_MAX 256

/* ---- what fails ---- */

enum mode { ONE, ALL, MODES };

static const char *const MODE_NAMES[] = {"one fails", "all fail from there on"};

static struct {
    bool armed;
    enum mode mode;
    long nth;          /* the first that fails, from 1 */
    long count;        /* so many were asked for since */
    const void *again; /* the block that Lua will ask for again */
    size_t again_size; /* and its new size; 0: it will not ask */
    const char *deed;  /* for whoever reads why the test has failed */
} plan;

static bool fails(void)
{
    if (!plan.armed) {
        return false;
    }
    plan.count++;
    return plan.mode == ALL ? plan.count >= plan.nth : plan.count == plan.nth;
}

static void on_signal(int signal_number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    sigaction(signal_number, &action, NULL);
}

/* Names the deed at which the test ends; fprintf would allocate. */
static void say_where(int signal_number)
{
    char text[200];
    int len = snprintf(text, sizeof text, "%s, %s, n = %ld: %s\n", plan.deed,
                       MODE_NAMES[plan.mode], plan.nth,
                       signal_number == SIGALRM ? "hangs" : "failed");
    (void)!write(STDERR_FILENO, text, (size_t)len);
    raise(signal_number); /* as before from here on: SA_RESETHAND */
}

static lua_State *running;

static void show_stack(lua_State *L, lua_Debug *unused)
{
    (void)unused;
    luaL_traceback(L, L, "hangs", 0);
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    abort();
}

/* As lua.c does it; where even that does not help the next signal ends the test. */
static void interrupt(int signal_number)
{
    on_signal(signal_number, say_where);
    alarm(2);
    plan.armed = false;
    lua_sethook(running, show_stack, LUA_MASKCALL | LUA_MASKRET | LUA_MASKCOUNT, 1);
}

/* ---- the functions that fail ---- */

/* The linker's names: a call of x goes to __wrap_x, and __real_x is x itself. */
/* NOLINTBEGIN(bugprone-reserved-identifier) */

#define WRAPPED(type, name, ...)                                                         \
    type __real_##name(__VA_ARGS__);                                                     \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(void *, malloc, size_t size);
WRAPPED(void *, calloc, size_t count, size_t size);
WRAPPED(void *, realloc, void *block, size_t size);
WRAPPED(char *, strdup, const char *text);
WRAPPED(FILE *, fopen, const char *path, const char *mode);
WRAPPED(DIR *, opendir, const char *path);
WRAPPED(int, getaddrinfo, const char *host, const char *service,
        const struct addrinfo *hints, struct addrinfo **found);
WRAPPED(int, posix_spawn, pid_t *pid, const char *path,
        const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
        char *const argv[], char *const envp[]);
WRAPPED(int, posix_spawn_file_actions_adddup2, posix_spawn_file_actions_t *actions,
        int from, int to);

static bool fails_with_errno(void)
{
    if (fails()) {
        errno = ENOMEM;
        return true;
    }
    return false;
}

void *__wrap_malloc(size_t size)
{
    return fails_with_errno() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails_with_errno() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails_with_errno() ? NULL : __real_realloc(block, size);
}

char *__wrap_strdup(const char *text)
{
    return fails_with_errno() ? NULL : __real_strdup(text);
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return fails_with_errno() ? NULL : __real_fopen(path, mode);
}

DIR *__wrap_opendir(const char *path)
{
    return fails_with_errno() ? NULL : __real_opendir(path);
}

int __wrap_getaddrinfo(const char *host, const char *service,
                       const struct addrinfo *hints, struct addrinfo **found)
{
    return fails() ? EAI_MEMORY : __real_getaddrinfo(host, service, hints, found);
}

int __wrap_posix_spawn(pid_t *pid, const char *path,
                       const posix_spawn_file_actions_t *actions,
                       const posix_spawnattr_t *attributes, char *const argv[],
                       char *const envp[])
{
    return fails() ? ENOMEM
                   : __real_posix_spawn(pid, path, actions, attributes, argv, envp);
}

int __wrap_posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *actions, int from,
                                            int to)
{
    return fails() ? ENOMEM : __real_posix_spawn_file_actions_adddup2(actions, from, to);
}

/* NOLINTEND(bugprone-reserved-identifier) */

/* Of type lua_Alloc. Lua counts on it that a block can always be made smaller. Where it
 * is refused something it collects its garbage and asks again: that must fail too. */
static void *allocate(void *unused, void *block, size_t old_size, size_t size)
{
    (void)unused;
    if (size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL || size > old_size) {
        bool is_again = plan.again_size == size && plan.again == block;
        plan.again_size = 0;
        if (is_again) {
            return NULL;
        }
        if (fails()) {
            plan.again = block;
            plan.again_size = size;
            return NULL;
        }
    }
    return __real_realloc(block, size);
}

/* ---- what Lua gets ---- */

/* arm(): from here on allocations are counted, and fail. */
static int arm(lua_State *L)
{
    (void)L;
    plan.armed = true;
    return 0;
}

/* disarm() → whether one has failed since */
static int disarm(lua_State *L)
{
    plan.armed = false;
    plan.again_size = 0;
    lua_pushboolean(L, plan.count >= plan.nth);
    return 1;
}

/* openCore() → what require "artel.core" would answer, made anew */
static int open_core(lua_State *L)
{
    lua_pushcfunction(L, luaopen_artel_core);
    lua_call(L, 0, 1);
    return 1;
}

/* hasChildren() → boolean; collects none */
static int has_children(lua_State *L)
{
    siginfo_t info;
    lua_pushboolean(L, waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
    return 1;
}

/* A finaliser that fails has not done its work. */
static void fail_at_warning(void *unused, const char *message, int continues)
{
    (void)unused, (void)continues;
    fprintf(stderr, "warning: %s\n", message);
    abort();
}

static int panic(lua_State *L)
{
    fprintf(stderr, "unprotected error: %s\n", lua_tostring(L, -1));
    abort();
}

/* Pushes what the scenarios' file answers. */
static lua_State *new_state(void)
{
    static const luaL_Reg FUNCTIONS[] = {{"arm", arm},
                                         {"disarm", disarm},
                                         {"openCore", open_core},
                                         {"hasChildren", has_children},
                                         {NULL, NULL}};
    lua_State *L = lua_newstate(allocate, NULL);
    CHECK(L != NULL);
    lua_atpanic(L, panic);
    lua_setwarnf(L, fail_at_warning, NULL);
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_artel_core);
    lua_setfield(L, -2, "artel.core");
    lua_pop(L, 1);
    int status = luaL_loadfile(L, SCENARIOS);
    if (status == LUA_OK) {
        luaL_newlib(L, FUNCTIONS);
        status = lua_pcall(L, 1, 1, 0);
    }
    if (status != LUA_OK) {
        panic(L);
    }
    return L;
}

/* ---- one deed after another ---- */

static int count_descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < FD_MAX; fd++) {
        count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
}

static int traceback(lua_State *L)
{
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* Calls a function of the scenario on top of the stack; answers its one boolean result.
 */
static bool call(lua_State *L, const char *name)
{
    running = L;
    lua_pushcfunction(L, traceback);
    lua_getfield(L, -2, name);
    int status = lua_pcall(L, 0, 1, -2);
    plan.armed = false;
    if (status != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    bool answer = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return answer;
}

static lua_State *open_scenario(int index)
{
    lua_State *L = new_state();
    CHECK_INT(LUA_TTABLE, lua_rawgeti(L, -1, index));
    lua_getfield(L, -1, "name");
    plan.deed = lua_tostring(L, -1); /* the scenario keeps it */
    lua_pop(L, 1);
    return L;
}

static long get_number(lua_State *L, const char *name, long otherwise)
{
    lua_getfield(L, -1, name);
    long number = (long)luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return number;
}

/* Runs the scenario with one failure after another; answers how often. */
static long run_scenario(int index, enum mode mode)
{
    int descriptors = count_descriptors();
    plan.mode = mode;
    plan.nth = 0;
    lua_State *L = open_scenario(index);
    bool anew = get_number(L, "anew", 0) != 0;
    long dense = get_number(L, "dense", 1000000);
    long stride = get_number(L, "stride", 1);
    bool failed = true;
    long rounds = 0;
    for (long n = 1; failed; n += n < dense ? 1 : stride) {
        alarm(DEED_TIMEOUT_S);
        if (anew && rounds > 0) {
            lua_close(L);
            CHECK_INT(descriptors, count_descriptors());
            L = open_scenario(index);
        }
        plan.nth = n;
        plan.count = 0;
        failed = call(L, "run");
        rounds++;
    }
    lua_close(L);
    plan.deed = "the end of a scenario";
    CHECK_INT(descriptors, count_descriptors());
    siginfo_t info;
    CHECK_INT(-1, waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT));
    return rounds;
}

/* The host stands beside the folder of the tests. */
static void find_host(void)
{
    static const char HOST[] = "/../bin/artel";
    char path[4096];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - sizeof HOST);
    CHECK(len > 0);
    path[len] = '\0';
    char *name = strrchr(path, '/');
    CHECK(name != NULL);
    memcpy(name, HOST, sizeof HOST);
    CHECK_INT(0, setenv("ARTEL_HOST", path, 1));
}

/* With an argument only the scenario of that name is run. */
int main(int count, char **arguments)
{
    char folder[] = "/tmp/artel-allocation-XXXXXX";
    CHECK(mkdtemp(folder) != NULL);
    CHECK_INT(0, setenv("TMPDIR", folder, 1));
    plan.deed = "before the first";
    on_signal(SIGALRM, interrupt);
    on_signal(SIGABRT, say_where);
    find_host();
    lua_State *L = new_state();
    int scenarios = (int)lua_rawlen(L, -1);
    lua_close(L);
    for (int i = 1; i <= scenarios; i++) {
        for (enum mode mode = ONE; mode < MODES; mode++) {
            L = open_scenario(i);
            char deed[100];
            snprintf(deed, sizeof deed, "%s", plan.deed);
            lua_close(L);
            if (count > 1 && strcmp(arguments[1], deed) != 0) {
                continue;
            }
            long rounds = run_scenario(i, mode);
            printf("ok %s, %s: %ld times\n", deed, MODE_NAMES[mode], rounds);
            fflush(stdout);
        }
    }
    CHECK_INT(0, rmdir(folder)); /* nothing temporary is left */
    return 0;
}
