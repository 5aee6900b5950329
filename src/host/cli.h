/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of the executable that are no worker: start, stop, query and so on. */
#ifndef ARTEL_HOST_CLI_H
#define ARTEL_HOST_CLI_H

/* Runs the command line; arguments (count of them) begin with the command. Ends the
 * process, or answers its exit code. */
int artel_host_cli(int count, char **arguments);

#endif
