// Loaded into a tablet's mysqld (LD_PRELOAD): kills it at a named point of a commit once a byte of a shared file asks for it.
// $PACELINE_STOP_POINTS/<uid>: 1 before the binary log's sync, 2 right after it, 3 when a replica's acknowledgement has
// arrived, 4 when the commit's answer is about to leave. lib/stop_points.py arms it. Does nothing in other programs.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kBeforeSync = 1, kAfterSync = 2, kAcknowledged = 3, kCommitted = 4 };
static volatile unsigned char* armed;

__attribute__((constructor)) static void Begin(void) {
  const char* folder = getenv("PACELINE_STOP_POINTS");
  int file = folder ? open("/proc/self/cmdline", O_RDONLY) : -1;
  if (file < 0) return;
  char command[8192];
  ssize_t size = read(file, command, sizeof command - 1);
  close(file);
  if (size <= 0) return;
  for (ssize_t i = 0; i < size; ++i) {
    if (command[i] == 0) command[i] = ' ';
  }
  command[size] = 0;
  const char* tablet = strstr(command, "/vt_");
  int is_mysqld = strstr(command, "sbin/mysqld ") != NULL || strstr(command, "mariadbd ") != NULL;
  if (!is_mysqld || tablet == NULL) return;
  char path[PATH_MAX];
  snprintf(path, sizeof path, "%s/%ld", folder, strtol(tablet + 4, NULL, 10));
  file = open(path, O_RDWR);
  if (file < 0) return;
  void* page = mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) armed = page;
}

static void Die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

static int Asked(int point) { return armed != NULL && *armed == point; }

static int IsBinaryLog(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = readlink(link, path, sizeof path - 1);
  if (size <= 0) return 0;
  path[size] = 0;
  return strstr(path, "/bin-logs/vt-bin.0") != NULL;
}

static int Sync(const char* name, int fd) {
  int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
  if (Asked(kBeforeSync) && IsBinaryLog(fd)) Die();
  int done = real(fd);
  if (Asked(kAfterSync) && IsBinaryLog(fd)) Die();
  return done;
}

int fdatasync(int fd) { return Sync("fdatasync", fd); }
int fsync(int fd) { return Sync("fsync", fd); }

// An acknowledgement: 0xEF, a position, the name of a log.
ssize_t recv(int fd, void* to, size_t size, int flags) {
  ssize_t (*real)(int, void*, size_t, int) = (ssize_t(*)(int, void*, size_t, int))dlsym(RTLD_NEXT, "recv");
  ssize_t got = real(fd, to, size, flags);
  if (got > 8 && Asked(kAcknowledged)) {
    const unsigned char* bytes = to;
    int marked = bytes[0] == 0xEF || (got > 12 && bytes[4] == 0xEF);
    if (marked && memmem(to, (size_t)got, "vt-bin.", 7) != NULL) Die();
  }
  return got;
}

// OK with the commit's GTID: MySQL's own tracker holds a UUID, MariaDB names last_gtid.
static int TellsCommit(const unsigned char* bytes, size_t size) {
  if (size < 11 || bytes[4] != 0) return 0;
  if (memmem(bytes, size, "last_gtid", 9) != NULL) return 1;
  for (size_t i = 11; i + 38 < size; ++i) {
    if (bytes[i + 8] == '-' && bytes[i + 13] == '-' && bytes[i + 18] == '-' && bytes[i + 23] == '-' && bytes[i + 36] == ':') return 1;
  }
  return 0;
}

ssize_t send(int fd, const void* from, size_t size, int flags) {
  ssize_t (*real)(int, const void*, size_t, int) = (ssize_t(*)(int, const void*, size_t, int))dlsym(RTLD_NEXT, "send");
  if (Asked(kCommitted) && TellsCommit(from, size)) Die();
  return real(fd, from, size, flags);
}
