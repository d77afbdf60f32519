/* Faults at the calls by which a process touches files: kill, fail or stop it at the n-th.

   Built and preloaded by bench/faults.py. Nothing happens until fault_arm() names a folder, or
   TIPS_FAULT says the same to a process when it starts ("calls kind number folder"). Calls on paths
   below the folder are counted, over all threads, also those that the engines make from Rust. What
   is written through mappings is not seen. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, KILL, TORN, FAIL, FULL, STOP };  /* what; see fault_process.py */
enum { WRITES = 1, READS = 2 };                /* of which calls */

static char prefix[PATH_MAX];
static size_t prefix_length;
static int what, which;
static long nth;
static atomic_long seen;
static atomic_int armed;

void fault_arm(const char *folder, int calls, int kind, long number) {
    snprintf(prefix, sizeof prefix, "%s", folder);
    prefix_length = strlen(prefix);
    which = calls, what = kind, nth = number;
    atomic_store(&seen, 0);
    atomic_store(&armed, 1);
}

__attribute__((constructor)) static void arm_from_environment(void) {
    const char *text = getenv("TIPS_FAULT");
    int calls, kind, from = 0;
    long number;
    if (text && sscanf(text, "%d %d %ld %n", &calls, &kind, &number, &from) == 3 && from)
        fault_arm(text + from, calls, kind, number);
}

void fault_disarm(void) { atomic_store(&armed, 0); }

long fault_seen(void) { return atomic_load(&seen); }

static int below(const char *path) {
    return !strncmp(path, prefix, prefix_length) &&
           (path[prefix_length] == '/' || path[prefix_length] == 0);
}

static int fd_path(int fd, char *out) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, out, PATH_MAX - 1);
    if (length < 0) return 0;
    out[length] = 0;
    return 1;
}

static int fd_below(int fd) {
    char path[PATH_MAX];
    int saved = errno, found = fd_path(fd, path) && below(path);
    errno = saved;
    return found;
}

static int at_below(int dir, const char *path) {
    char full[2 * PATH_MAX + 2];
    int saved = errno, found = 0;
    if (!path) return 0;
    if (path[0] == '/') return below(path);
    if (dir == AT_FDCWD ? getcwd(full, PATH_MAX) != NULL : fd_path(dir, full)) {
        size_t length = strlen(full);
        snprintf(full + length, sizeof full - length, "/%s", path);
        found = below(full);
    }
    errno = saved;
    return found;
}

/* 0: go on with the call. Else the number of the error that it is to give; -1: tear the write. */
static int strike(int calls, int takes_room) {
    if (!(which & calls)) return 0;
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (number < nth || what == COUNT) return 0;
    if (what == FULL) return takes_room ? (number == nth ? -1 : ENOSPC) : 0;
    if (number > nth) return 0;
    if (what == KILL) kill(getpid(), SIGKILL);
    if (what == STOP) kill(getpid(), SIGSTOP);
    if (what == TORN) return -1;
    return what == FAIL ? EIO : 0;
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, #name)
#define GUARD(inside, calls, room, fault) \
    if (atomic_load(&armed) && (inside)) { \
        int error = strike(calls, room); \
        if (error == -1 && what == TORN) kill(getpid(), SIGKILL); \
        if (error == -1) error = ENOSPC; \
        if (error > 0) { errno = error; return fault; } \
    }

/* Half of what was asked is written, and then the process is killed or the disk is full. */
#define WRITING(call, half) \
    if (atomic_load(&armed) && fd_below(fd)) { \
        int error = strike(WRITES, 1); \
        if (error == -1) { \
            ssize_t done = half; \
            if (what == TORN) kill(getpid(), SIGKILL); \
            if (done > 0) return done; \
            error = ENOSPC; \
        } \
        if (error > 0) { errno = error; return -1; } \
    } \
    return call

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    WRITING(real(fd, data, size), real(fd, data, size / 2));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
    REAL(pwrite);
    WRITING(real(fd, data, size, at), real(fd, data, size / 2, at));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
    REAL(pwrite64);
    WRITING(real(fd, data, size, at), real(fd, data, size / 2, at));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    WRITING(real(fd, parts, count), real(fd, parts, count / 2));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    REAL(pwritev);
    WRITING(real(fd, parts, count, at), real(fd, parts, count / 2, at));
}

#define MODE \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0; \
    va_end(rest)
#define OPENING(dir, path) \
    if (flags & (O_CREAT | O_TRUNC)) { GUARD(at_below(dir, path), WRITES, 1, -1) } \
    else { GUARD(at_below(dir, path), READS, 0, -1) }

int open(const char *path, int flags, ...) {
    REAL(open);
    MODE;
    OPENING(AT_FDCWD, path)
    return real(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    MODE;
    OPENING(AT_FDCWD, path)
    return real(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...) {
    REAL(openat);
    MODE;
    OPENING(dir, path)
    return real(dir, path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    REAL(openat64);
    MODE;
    OPENING(dir, path)
    return real(dir, path, flags, mode);
}

int rename(const char *from, const char *to) {
    REAL(rename);
    GUARD(at_below(AT_FDCWD, to), WRITES, 0, -1)
    return real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(renameat);
    GUARD(at_below(to_dir, to), WRITES, 0, -1)
    return real(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    REAL(renameat2);
    GUARD(at_below(to_dir, to), WRITES, 0, -1)
    return real(from_dir, from, to_dir, to, flags);
}

int link(const char *from, const char *to) {
    REAL(link);
    GUARD(at_below(AT_FDCWD, to), WRITES, 1, -1)
    return real(from, to);
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    REAL(linkat);
    GUARD(at_below(to_dir, to), WRITES, 1, -1)
    return real(from_dir, from, to_dir, to, flags);
}

int unlink(const char *path) {
    REAL(unlink);
    GUARD(at_below(AT_FDCWD, path), WRITES, 0, -1)
    return real(path);
}

int unlinkat(int dir, const char *path, int flags) {
    REAL(unlinkat);
    GUARD(at_below(dir, path), WRITES, 0, -1)
    return real(dir, path, flags);
}

int rmdir(const char *path) {
    REAL(rmdir);
    GUARD(at_below(AT_FDCWD, path), WRITES, 0, -1)
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    GUARD(at_below(AT_FDCWD, path), WRITES, 1, -1)
    return real(path, mode);
}

int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(mkdirat);
    GUARD(at_below(dir, path), WRITES, 1, -1)
    return real(dir, path, mode);
}

int ftruncate(int fd, off_t size) {
    REAL(ftruncate);
    GUARD(fd_below(fd), WRITES, 0, -1)
    return real(fd, size);
}

int ftruncate64(int fd, off64_t size) {
    REAL(ftruncate64);
    GUARD(fd_below(fd), WRITES, 0, -1)
    return real(fd, size);
}

int posix_fallocate64(int fd, off64_t from, off64_t size) {
    REAL(posix_fallocate64);
    GUARD(fd_below(fd), WRITES, 1, errno)
    return real(fd, from, size);
}

int fallocate64(int fd, int mode, off64_t from, off64_t size) {
    REAL(fallocate64);
    GUARD(fd_below(fd), WRITES, 1, -1)
    return real(fd, mode, from, size);
}

int fsync(int fd) {
    REAL(fsync);
    GUARD(fd_below(fd), WRITES, 0, -1)
    return real(fd);
}

int fdatasync(int fd) {
    REAL(fdatasync);
    GUARD(fd_below(fd), WRITES, 0, -1)
    return real(fd);
}

ssize_t copy_file_range(int from, off64_t *from_at, int fd, off64_t *at, size_t size,
                        unsigned flags) {
    REAL(copy_file_range);
    WRITING(real(from, from_at, fd, at, size, flags), real(from, from_at, fd, at, size / 2, flags));
}

ssize_t read(int fd, void *data, size_t size) {
    REAL(read);
    GUARD(fd_below(fd), READS, 0, -1)
    return real(fd, data, size);
}

DIR *opendir(const char *path) {
    REAL(opendir);
    GUARD(at_below(AT_FDCWD, path), READS, 0, NULL)
    return real(path);
}

int stat(const char *path, struct stat *facts) {
    REAL(stat);
    GUARD(at_below(AT_FDCWD, path), READS, 0, -1)
    return real(path, facts);
}

int fstatat(int dir, const char *path, struct stat *facts, int flags) {
    REAL(fstatat);
    GUARD(at_below(dir, path), READS, 0, -1)
    return real(dir, path, facts, flags);
}

int fstatat64(int dir, const char *path, struct stat64 *facts, int flags) {
    REAL(fstatat64);
    GUARD(at_below(dir, path), READS, 0, -1)
    return real(dir, path, facts, flags);
}

int stat64(const char *path, struct stat64 *facts) {
    REAL(stat64);
    GUARD(at_below(AT_FDCWD, path), READS, 0, -1)
    return real(path, facts);
}
