/* SPDX-License-Identifier: Apache-2.0 */
/* Knows which of the kernel's figures about a process are the current ones. */
#include "usage.h"

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NANOSECONDS_PER_SECOND 1e9

uint64_t artel_usage_resident_memory(void)
{
    /* Pages: whole size, then what is resident. Only Linux tells the present state. */
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long long size, resident;
    int count = 0;
    if (file != NULL) {
        count = fscanf(file, "%llu %llu", &size, &resident);
        fclose(file);
    }
    long page_size = sysconf(_SC_PAGESIZE);
    if (count == 2 && page_size > 0) {
        return (uint64_t)resident * (uint64_t)page_size;
    }
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

uint64_t artel_usage_memory_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) {
        return 0;
    }
    return (uint64_t)limit.rlim_cur;
}

double artel_usage_processor_time(void)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) < 0) {
        return 0;
    }
    return (double)used.tv_sec + (double)used.tv_nsec / NANOSECONDS_PER_SECOND;
}
