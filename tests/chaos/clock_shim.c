/* Moves the wall clock of one process, for chaos: LD_PRELOAD it, and what stands in the file $PACELINE_CLOCKS/<pid> (eight
   bytes, nanoseconds) is added to CLOCK_REALTIME. The monotonic and boot clocks stay as they are. Waits until a wall-clock time
   are turned back into the kernel's. Programs that ask the kernel without libc (etcd) do not notice. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t none = 0;
static volatile int64_t *offset = &none;

__attribute__((constructor)) static void open_offset(void) {
  const char *folder = getenv("PACELINE_CLOCKS");
  if (folder == NULL) return;
  char path[512];
  snprintf(path, sizeof path, "%s/%d", folder, (int)getpid());
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (fd < 0) return;
  fchmod(fd, 0666);
  if (ftruncate(fd, 8) == 0) {
    void *page = mmap(NULL, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) offset = page;
  }
  close(fd);
}

static void add(struct timespec *time, int64_t ns) {
  int64_t sum = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + ns;
  if (sum < 0) sum = 0;
  time->tv_sec = sum / 1000000000;
  time->tv_nsec = sum % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) add(time, *offset);
  return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *where) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (where != NULL) *where = now.tv_sec;
  return now.tv_sec;
}

/* What is later than 2001 is a wall-clock time: a monotonic one counts from the boot. */
static struct timespec kernels(const struct timespec *until) {
  struct timespec real = *until;
  if (real.tv_sec > 1000000000) add(&real, -*offset);
  return real;
}

#define WRAP(name, type)                                                                  \
  int name(type *object, const struct timespec *until) {                                  \
    static int (*real)(type *, const struct timespec *);                                  \
    if (real == NULL) real = (int (*)(type *, const struct timespec *))dlsym(RTLD_NEXT, #name); \
    struct timespec turned = kernels(until);                                              \
    return real(object, &turned);                                                         \
  }
WRAP(pthread_mutex_timedlock, pthread_mutex_t)
WRAP(pthread_rwlock_timedrdlock, pthread_rwlock_t)
WRAP(pthread_rwlock_timedwrlock, pthread_rwlock_t)
WRAP(sem_timedwait, sem_t)

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  typedef int (*Real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  static Real real;
  if (real == NULL) real = (Real)dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
  if (real == NULL) real = (Real)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
  struct timespec turned = kernels(until);
  return real(condition, mutex, &turned);
}
