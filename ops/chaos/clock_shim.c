/*
 * A clock that can be set: preloaded into the Redis server, it adds an offset to the time of day.
 *
 * The file that CHAOS_CLOCK names holds the offset in microseconds, as one signed 64-bit number in the byte order of
 * the machine. The monotonic clock stays as it is, as on a machine whose clock is set.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int (*real_gettimeofday)(struct timeval *, void *);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static volatile int64_t *offset_us;

__attribute__((constructor)) static void begin(void) {
    real_gettimeofday = dlsym(RTLD_NEXT, "gettimeofday");
    real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    const char *name = getenv("CHAOS_CLOCK");
    int file = name ? open(name, O_RDONLY) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *offset_us, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) offset_us = page;
    close(file);
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    int failed = real_gettimeofday(now, zone);
    if (failed || !offset_us) return failed;
    int64_t us = (int64_t)now->tv_sec * 1000000 + now->tv_usec + *offset_us;
    now->tv_sec = us / 1000000;
    now->tv_usec = us % 1000000;
    return 0;
}

int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = real_clock_gettime(id, now);
    if (failed || !offset_us || (id != CLOCK_REALTIME && id != CLOCK_REALTIME_COARSE)) return failed;
    int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + *offset_us * 1000;
    now->tv_sec = ns / 1000000000;
    now->tv_nsec = ns % 1000000000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
