/* SPDX-License-Identifier: Apache-2.0 */
/* The executable artel: a worker, or a command. */
#include "cli.h"
#include "core/error.h"
#include "detach.h"
#include "host.h"

#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define EXIT_FAILED 1
#define EXIT_USAGE 2 /* docs/api.md, "Command line" */

#define VERSION "scm-1" /* as in the rockspec */

static const char USAGE[] =
    "usage: artel host [--bootstrap FILE]\n"
    "\n"
    "Runs a worker. Without --bootstrap it is started by a master, which talks to it "
    "over\n"
    "descriptor 3; nobody starts it by hand.\n"
    "\n"
    "  --bootstrap FILE   run the shared worker that FILE describes, which "
    "compileScript()\n"
    "                     has written; for service managers\n"
    "  --detach           leave the process that has started it; masters start shared\n"
    "                     workers so\n"
    "  -h, --help         show this text\n"
    "      --version      show the version\n";

static int show_version(void)
{
    puts("artel " VERSION ", " LUA_RELEASE);
    return 0;
}

static int usage_error(const char *what, const char *which)
{
    fprintf(stderr, "artel host: %s '%s'\n%s", what, which, USAGE);
    return EXIT_USAGE;
}

static int host(int argc, char **argv)
{
    const char *bootstrap_file = NULL;
    bool detach = false;
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            fputs(USAGE, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--version") == 0) {
            return show_version();
        }
        if (strcmp(argv[i], "--detach") == 0) {
            detach = true;
            continue;
        }
        if (strcmp(argv[i], "--bootstrap") != 0) {
            return usage_error("unknown argument", argv[i]);
        }
        if (++i == argc) {
            return usage_error("a file is missing behind", argv[i - 1]);
        }
        bootstrap_file = argv[i];
    }
    int status = detach ? artel_host_detach() : 0;
    if (status < 0) {
        fprintf(stderr, "artel host: cannot detach: %s\n", artel_error_text(status));
        return EXIT_FAILED;
    }
    return artel_host_run(bootstrap_file);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "host") == 0) {
        return host(argc, argv);
    }
    if (argc > 1 && strcmp(argv[1], "--version") == 0) {
        return show_version();
    }
    return artel_host_cli(argc - 1, argv + 1);
}
