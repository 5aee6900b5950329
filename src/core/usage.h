/* SPDX-License-Identifier: Apache-2.0 */
/* What this process has used so far, and what it may use. */
#ifndef ARTEL_CORE_USAGE_H
#define ARTEL_CORE_USAGE_H

#include <stdint.h>

/* Bytes of memory that are in RAM now; at most so many where only that is known. */
uint64_t artel_usage_resident_memory(void);

/* The limit on address space in bytes (RLIMIT_AS); 0 when there is none. */
uint64_t artel_usage_memory_limit(void);

/* Seconds of processor time, user's and kernel's, of all threads. */
double artel_usage_processor_time(void);

#endif
