/* Faults of a disk and of a clock, put before the C library by LD_PRELOAD and armed by a forked child.

   Only what lies below the armed folder is touched. The n-th call of the armed kinds fails (n counts from 1; 0: never),
   or each with a probability; an error below 0 is a signal that the process gets instead. Each call may be slowed. The wall clock may jump by some seconds at every so many readings. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, RENAMES = 4, OPENS = 8 };

static char folder[4096];
static int kinds, number, countdown, count, slow_microseconds, armed;
static double probability, jump_seconds, offset_seconds;
static unsigned int state;
static unsigned long readings;

void fault_arm(const char *below, int which, int error, int nth, double share, int microseconds, double jump, unsigned int seed) {
    snprintf(folder, sizeof folder, "%s", below);
    kinds = which, number = error, countdown = nth, probability = share, slow_microseconds = microseconds;
    jump_seconds = jump, state = seed, count = 0, armed = 1;
}

int fault_count(void) { return count; }

static int below(const char *path) { return path && strncmp(path, folder, strlen(folder)) == 0; }

static int below_of(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return below(path);
}

static int fails(int kind) {
    if (!(kinds & kind)) return 0;
    count++;
    if (slow_microseconds) usleep(slow_microseconds);
    if ((countdown && count == countdown) || (probability > 0 && rand_r(&state) < probability * RAND_MAX)) {
        if (number < 0) kill(getpid(), -number);
        errno = number;
        return 1;
    }
    return 0;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t size) {
    REAL(ssize_t, write, int, const void *, size_t);
    return armed && below_of(fd) && fails(WRITES) ? -1 : real(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    return armed && below_of(fd) && fails(WRITES) ? -1 : real(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
    return armed && below_of(fd) && fails(WRITES) ? -1 : real(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec *parts, int number_of) {
    REAL(ssize_t, writev, int, const struct iovec *, int);
    return armed && below_of(fd) && fails(WRITES) ? -1 : real(fd, parts, number_of);
}
int fsync(int fd) {
    REAL(int, fsync, int);
    return armed && below_of(fd) && fails(SYNCS) ? -1 : real(fd);
}
int fdatasync(int fd) {
    REAL(int, fdatasync, int);
    return armed && below_of(fd) && fails(SYNCS) ? -1 : real(fd);
}
int rename(const char *from, const char *to) {
    REAL(int, rename, const char *, const char *);
    return armed && (below(from) || below(to)) && fails(RENAMES) ? -1 : real(from, to);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    REAL(int, renameat, int, const char *, int, const char *);
    return armed && (below(from) || below(to)) && fails(RENAMES) ? -1 : real(from_folder, from, to_folder, to);
}
int unlink(const char *path) {
    REAL(int, unlink, const char *);
    return armed && below(path) && fails(RENAMES) ? -1 : real(path);
}
static int opens(const char *path, int flags) { return armed && (flags & (O_CREAT | O_WRONLY | O_RDWR)) && below(path) && fails(OPENS); }
int open(const char *path, int flags, ...) {
    REAL(int, open, const char *, int, ...);
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opens(path, flags) ? -1 : real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(int, open64, const char *, int, ...);
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    return opens(path, flags) ? -1 : real(path, flags, mode);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, mkdir, const char *, mode_t);
    return armed && below(path) && fails(OPENS) ? -1 : real(path, mode);
}

static double jump(void) {
    if (armed && jump_seconds != 0 && ++readings % 7 == 0)
        offset_seconds += jump_seconds * (rand_r(&state) / (double)RAND_MAX - 0.3);
    return offset_seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(int, clock_gettime, clockid_t, struct timespec *);
    int result = real(clock, now);
    if (armed && clock == CLOCK_REALTIME) now->tv_sec += (time_t)jump();
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(int, gettimeofday, struct timeval *restrict, void *restrict);
    int result = real(now, zone);
    if (armed) now->tv_sec += (time_t)jump();
    return result;
}
time_t time(time_t *kept) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (kept) *kept = now.tv_sec;
    return now.tv_sec;
}
