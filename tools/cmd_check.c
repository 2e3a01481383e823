/* SPDX-License-Identifier: Apache-2.0
 *
 * cmd_check.c - sonde check: what profiling can do here, a line each.  Each is tried, not concluded from versions.
 *
 * Runs in:  the sonde command; what could hang or fail for good is tried in a child.
 */
#include <dlfcn.h>
#include <errno.h>
#include <gnu/libc-version.h>
#include <limits.h>
#include <link.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cgroup.h"
#include "base/clock.h"
#include "base/log.h"
#include "deliver/socket.h"
#include "segment/layout.h"
#include "tools/tools.h"

#define BURN_NS		60000000ull	/* CPU time that the timer is tried with */
#define BURN_WALL_NS	2000000000ull
#define TRY_S		5		/* a child is given up after that */
#define MEMORY_DEFAULT	(64ull << 20)

enum state { OK, LIMITED, NO };

struct finding {
	enum state state;
	char text[400];
};

__attribute__((format(printf, 3, 4))) static void
find(struct finding *f, enum state state, const char *fmt, ...)
{
	size_t n = strlen(f->text);
	va_list ap;

	if (state > f->state)
		f->state = state;
	va_start(ap, fmt);
	(void)vsnprintf(f->text + n, sizeof(f->text) - n, fmt, ap);
	va_end(ap);
}

/* A number in a file, or -1. */
static long
number_in(const char *path)
{
	struct sn_buf b = { 0 };
	long n = -1;

	if (sn_buf_read_path(&b, path, 4096) == 0) {
		sn_buf_put(&b, "", 1);
		if (b.err == 0 && b.len > 1)
			n = strtol((char *)b.data, NULL, 10);
	}
	sn_buf_free(&b);
	return n;
}

/* What a try in a child came to: its exit status, or -1 when it died or hung. */
static int
in_child(int (*try)(const void *arg), const void *arg)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		(void)signal(SIGALRM, SIG_DFL);
		(void)alarm(TRY_S);
		_exit(try(arg));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* ---- sampling ---- */

static volatile sig_atomic_t ticks;

static void
on_tick(int sig)
{
	(void)sig;
	ticks++;
}

/* CPU time of this thread until a few ticks should have come. */
static uint64_t
burn(void)
{
	uint64_t cpu = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID), wall = sn_clock_mono_ns(), now;

	do
		now = sn_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	while (now - cpu < BURN_NS && sn_clock_mono_ns() - wall < BURN_WALL_NS);
	return now - cpu;
}

static void
check_timer(struct finding *f)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART }, was;
	struct itimerspec every = { { 0, 1000000 }, { 0, 1000000 } };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF };
	uint64_t cpu = 0;
	sigset_t set;
	timer_t timer;

	ev._sigev_un._tid = gettid();
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPROF);
	(void)sigprocmask(SIG_UNBLOCK, &set, NULL);
	(void)sigaction(SIGPROF, &sa, &was);
	if (timer_create(sn_clock_of_thread(gettid()), &ev, &timer) < 0) {
		find(f, NO, "timer_create on a thread's CPU clock: %s; %s", strerror(errno),
			errno == EAGAIN ? "raise ulimit -i (RLIMIT_SIGPENDING)" : "let the sandbox pass timer_create");
	} else {
		if (timer_settime(timer, 0, &every, NULL) == 0)
			cpu = burn();
		(void)timer_delete(timer);
		if (cpu == 0 || ticks == 0)
			find(f, NO, "a timer on a thread's CPU clock sends no signal; nothing can be sampled");
		else
			find(f, OK, "%d signals in %llu ms of CPU time", (int)ticks,
				(unsigned long long)(cpu / 1000000));
	}
	(void)sigaction(SIGPROF, &was, NULL);
}

static void
check_tick(struct finding *f)
{
	uint64_t tick = sn_clock_tick_ns();
	unsigned long long hz = (SN_NS_PER_SEC + tick / 2) / tick;

	find(f, hz < 100 ? LIMITED : OK, "timers give at most %llu samples a second of CPU time (one each tick "
		"of %.3g ms); above that perf events are tried, or each carries more weight", hz, (double)tick / 1e6);
}

static void
check_perf(struct finding *f)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE, .size = sizeof(attr), .config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 1000000, .disabled = 1, .exclude_kernel = 1, .exclude_hv = 1,
	};
	long paranoid = number_in("/proc/sys/kernel/perf_event_paranoid");
	int fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd >= 0) {
		find(f, OK, "up to 10000 samples a second of CPU time, of user code; kernel time is then [kernel] "
			"(perf_event_paranoid %ld)", paranoid);
		(void)close(fd);
		return;
	}
	find(f, LIMITED, "perf_event_open: %s (perf_event_paranoid %ld)", strerror(errno), paranoid);
	if (errno == EACCES || errno == EPERM)
		find(f, LIMITED, "; sampling does without; sysctl kernel.perf_event_paranoid=2 or CAP_PERFMON would "
			"allow it, if no sandbox forbids it");
	else
		find(f, LIMITED, "; sampling does without");
}

/* ---- sandbox ---- */

static void
check_seccomp(struct finding *f)
{
	struct sn_buf b = { 0 };
	const char *line = NULL;
	int mode = -1;

	if (sn_buf_read_path(&b, "/proc/self/status", 64 << 10) == 0) {
		sn_buf_put(&b, "", 1);
		line = b.err == 0 ? strstr((char *)b.data, "\nSeccomp:") : NULL;
	}
	if (line != NULL)
		mode = atoi(line + strlen("\nSeccomp:"));
	sn_buf_free(&b);
	if (mode == 0)
		find(f, OK, "no filter");
	else if (mode > 0)
		find(f, LIMITED, "a filter is in force (mode %d); the other lines say what it leaves; a profile of the "
			"container that allows perf_event_open and ptrace would give the rest", mode);
	else
		find(f, LIMITED, "not known: /proc/self/status does not say");
}

static char mark[] = "sonde";

static bool
can_read(pid_t pid)
{
	char copy[sizeof(mark)] = "";
	struct iovec here = { copy, sizeof(copy) }, there = { mark, sizeof(mark) };

	return process_vm_readv(pid, &here, 1, &there, 1, 0) == (ssize_t)sizeof(copy) && strcmp(copy, mark) == 0;
}

/* As a tool would that did not start the process. */
static int
seize(const void *arg)
{
	return ptrace(PTRACE_SEIZE, *(const pid_t *)arg, NULL, NULL) < 0 ? errno : 0;
}

static void
check_ptrace(struct finding *f)
{
	long scope = number_in("/proc/sys/kernel/yama/ptrace_scope");
	char yama[48] = "no yama";
	pid_t pid = fork();
	bool own;
	int err;

	if (pid == 0) {
		(void)alarm(TRY_S);
		for (;;)
			(void)pause();
	}
	if (pid < 0) {
		find(f, LIMITED, "cannot be tried: fork: %s", strerror(errno));
		return;
	}
	if (scope >= 0)
		(void)snprintf(yama, sizeof(yama), "ptrace_scope %ld", scope);
	own = can_read(pid);
	err = in_child(seize, &pid);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	if (err == 0 && own)
		find(f, OK, "processes of this user may be read and attached to (%s)", yama);
	else
		find(f, LIMITED, "%s (%s); root, CAP_SYS_PTRACE or sysctl kernel.yama.ptrace_scope=0 would allow %s",
			own ? "only programs that sonde run started may be read" : "memory of programs may not be read",
			yama, own ? "to attach" : "it");
}

/* ---- kernel and libc ---- */

static int
is_wiped(const void *arg)
{
	return *(const volatile char *)arg != 0;
}

static void
check_kernel(struct finding *f)
{
	char *page = mmap(NULL, SN_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct utsname u = { 0 };
	int fd;

	(void)uname(&u);
	find(f, OK, "Linux %.60s", u.release);
	if (page == MAP_FAILED || madvise(page, SN_PAGE, MADV_WIPEONFORK) < 0)
		find(f, NO, "; MADV_WIPEONFORK: %s, forked children could not be told apart; Linux 4.14 has it",
			strerror(errno));
	else {
		*page = 1;
		if (in_child(is_wiped, page) != 0)
			find(f, NO, "; MADV_WIPEONFORK does not wipe");
	}
	if (page != MAP_FAILED)
		(void)munmap(page, SN_PAGE);
	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	if (fd >= 0)
		(void)close(fd);
	else
		find(f, LIMITED, "; pidfd_open: %s, ends of programs are seen later; Linux 5.3 has it",
			strerror(errno));
	if (syscall(SYS_close_range, ~0u - 1, ~0u, 0) < 0)
		find(f, LIMITED, "; close_range: %s, the collector inside a program has its descriptors in the "
			"program's table; Linux 5.9 has it", strerror(errno));
	if (f->state == OK)
		find(f, OK, "; MADV_WIPEONFORK, pidfd_open and close_range work");
}

static int
open_namespace(const void *arg)
{
	return dlmopen(LM_ID_NEWLM, arg, RTLD_NOW | RTLD_LOCAL) == NULL;
}

static void
check_libraries(struct finding *f)
{
	char library[PATH_MAX], module[PATH_MAX], why[PATH_MAX + 128];

	find(f, OK, "glibc %s", gnu_get_libc_version());
	if (sn_library_find(library, sizeof(library), why, sizeof(why)) < 0) {
		find(f, NO, "; %.200s", why);
		return;
	}
	find(f, OK, "; %.120s", library);
	if (sn_module_find(library, module, sizeof(module)) < 0)
		find(f, LIMITED, "; no " SN_MODULE " beside it: only sonde run can profile, not LD_PRELOAD alone; "
			"install it");
	else if (in_child(open_namespace, module) != 0)
		find(f, LIMITED, "; " SN_MODULE " cannot be opened by dlmopen: only sonde run can profile");
	else
		find(f, OK, " and " SN_MODULE);
	if (in_child(open_namespace, "libc.so.6") != 0)
		find(f, LIMITED, "; dlmopen has no namespace for a collector inside a program");
}

/* ---- limits ---- */

static void
show_limit(struct finding *f, const char *name, int what, uint64_t least, const char *remedy)
{
	struct rlimit l = { 0, 0 };

	(void)getrlimit(what, &l);
	if (l.rlim_cur == RLIM_INFINITY)
		find(f, OK, "%s unlimited, ", name);
	else if (l.rlim_cur >= least)
		find(f, OK, "%s %llu, ", name, (unsigned long long)l.rlim_cur);
	else
		find(f, LIMITED, "%s %llu (%s), ", name, (unsigned long long)l.rlim_cur, remedy);
}

static void
check_limits(struct finding *f)
{
	uint64_t bytes = sn_segment_size(SN_SLOTS_FEW, SN_RING_FRAMES);

	show_limit(f, "NOFILE", RLIMIT_NOFILE, 64, "raise ulimit -n to 64");
	show_limit(f, "SIGPENDING", RLIMIT_SIGPENDING, SN_SLOTS_FEW, "one timer a thread: raise ulimit -i");
	show_limit(f, "AS", RLIMIT_AS, 2 * bytes, "fewer threads have a slot: raise ulimit -v");
	show_limit(f, "MEMLOCK", RLIMIT_MEMLOCK, 0, "");
	show_limit(f, "NPROC", RLIMIT_NPROC, 16, "raise ulimit -u");
	f->text[strlen(f->text) - 2] = '\0';
}

static bool
can_map(uint64_t bytes)
{
	int fd = memfd_create("sonde-check", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *at = MAP_FAILED;
	int err;

	if (fd >= 0 && ftruncate(fd, (off_t)bytes) == 0)
		at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	err = errno;
	if (at != MAP_FAILED)
		(void)munmap(at, bytes);
	if (fd >= 0)
		(void)close(fd);
	errno = err;
	return at != MAP_FAILED;
}

static void
check_memory(struct finding *f)
{
	uint32_t slots = SN_SLOTS_FEW;
	uint64_t bound = sn_cgroup_memory("/proc/self/cgroup", "/sys/fs/cgroup");
	unsigned long long mib = 0;
	int err = 0;

	for (; slots >= SN_CHUNK_SLOTS && !can_map(sn_segment_size(slots, SN_RING_FRAMES)); slots /= 2)
		if (err == 0) {
			err = errno;
			mib = sn_segment_size(slots, SN_RING_FRAMES) >> 20;
		}
	if (slots < SN_CHUNK_SLOTS)
		find(f, NO, "no shared segment can be made: %s; raise ulimit -v and -f, or let the sandbox pass "
			"memfd_create", strerror(err));
	else if (err != 0)
		find(f, LIMITED, "a shared segment for %u threads at a time, not for %u (%llu MiB of address space: "
			"%s); raise ulimit -v and -f", slots, SN_SLOTS_FEW, mib, strerror(err));
	else
		find(f, OK, "the shared segment can be mapped");
	if (bound == 0)
		find(f, OK, "; the cgroup has no memory limit");
	else if (bound / 8 >= MEMORY_DEFAULT)
		find(f, OK, "; the memory limit of the cgroup is %llu MiB", (unsigned long long)(bound >> 20));
	else
		find(f, LIMITED, "; the memory limit of the cgroup is %llu MiB, sonde takes at most an eighth; raise "
			"it to have the default of 64 MiB", (unsigned long long)(bound >> 20));
}

/* ---- what is around ---- */

static void
check_proc(struct finding *f)
{
	struct stat st;

	if (access("/proc/self/maps", R_OK) < 0 || access("/proc/self/task", R_OK) < 0)
		find(f, NO, "not mounted, or not readable: %s; mount it", strerror(errno));
	else if (stat("/proc/1", &st) < 0)
		find(f, LIMITED, "processes of others are hidden (hidepid); sonde ps and sonde fetch see those of this "
			"user only");
	else
		find(f, OK, "mounted, all processes are seen");
}

static int
is_ours(void *ctx, const struct sn_socket_found *found)
{
	const struct sn_socket *s = ctx;

	return strcmp(found->path, s->path) == 0;
}

static void
check_socket(struct finding *f)
{
	struct sn_socket s;
	int err = sn_socket_make("auto", getenv("XDG_RUNTIME_DIR"), getpid(), &s);

	if (err < 0) {
		find(f, NO, "no Unix socket can be made: %s; sonde ps and sonde fetch cannot work", strerror(-err));
		return;
	}
	if (s.path[0] == '@')
		find(f, LIMITED, "%s: abstract, it cannot be reached from another network namespace; a folder "
			"/tmp/sonde-%u of mode 0700 and yours would do", s.path, (unsigned)geteuid());
	else
		find(f, OK, "%s", s.path);
	if (sn_socket_find(getpid(), is_ours, &s) < 1)
		find(f, LIMITED, "; but it is not found again");
	sn_socket_remove(&s);
}

/* The build id of libc as a path below /usr/lib/debug. */
static int
note_build_id(struct dl_phdr_info *info, size_t size, void *path)
{
	(void)size;
	if (strstr(info->dlpi_name, "/libc.so") == NULL)
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		const char *at = (const char *)info->dlpi_addr + ph->p_vaddr, *end = at + ph->p_memsz;

		while (ph->p_type == PT_NOTE && end - at > (ptrdiff_t)sizeof(ElfW(Nhdr))) {
			const ElfW(Nhdr) *n = (const void *)at;
			const unsigned char *id = (const unsigned char *)at + sizeof(*n) + ((n->n_namesz + 3) & ~3u);
			char *out = path;

			if (n->n_type == NT_GNU_BUILD_ID && n->n_descsz >= 2 && n->n_descsz <= 64) {
				out += sprintf(out, "/usr/lib/debug/.build-id/%02x/", id[0]);
				for (unsigned k = 1; k < n->n_descsz; k++)
					out += sprintf(out, "%02x", id[k]);
				(void)sprintf(out, ".debug");
				return 1;
			}
			at = (const char *)id + ((n->n_descsz + 3) & ~3u);
		}
	}
	return 1;
}

static void
check_debug(struct finding *f)
{
	char path[256] = "";

	(void)dl_iterate_phdr(note_build_id, path);
	if (path[0] != '\0' && access(path, R_OK) == 0)
		find(f, OK, "there are some in /usr/lib/debug, of libc among them");
	else if (access("/usr/lib/debug/.build-id", R_OK) == 0)
		find(f, LIMITED, "some in /usr/lib/debug, none of libc; libc6-dbg or glibc-debuginfo would give "
			"its lines");
	else
		find(f, LIMITED, "none in /usr/lib/debug; stripped libraries have the names of what they export; -dbg, "
			"-dbgsym or -debuginfo packages would give the rest");
}

static const struct {
	const char *what;
	void (*check)(struct finding *f);
	bool is_needed;			/* without it there is no CPU profile */
} checks[] = {
	{ "cpu timer", check_timer, true },
	{ "rate", check_tick, false },
	{ "perf_event", check_perf, false },
	{ "seccomp", check_seccomp, false },
	{ "ptrace", check_ptrace, false },
	{ "kernel", check_kernel, true },
	{ "libraries", check_libraries, true },
	{ "limits", check_limits, false },
	{ "memory", check_memory, true },
	{ "/proc", check_proc, true },
	{ "socket", check_socket, false },
	{ "debug files", check_debug, false },
};

static const char usage[] =
	"usage: sonde check\n\n"
	"Try what profiling needs on this machine, as this user, in this container; a line each:\n"
	"ok, limited or no, what it is, its state, and what would enable the rest.\n\n"
	"Exit status: 0 CPU profiling works here, 1 it does not, 2 usage.\n";

int
cmd_check(int argc, char **argv)
{
	static const char *const states[] = { "ok", "limited", "no" };
	int status = 0;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		(void)fputs(usage, stdout);
		return 0;
	}
	if (argc > 1) {
		sn_log(SN_LOG_STDERR, "%.100s is not understood: sonde check takes nothing", argv[1]);
		return SN_EXIT_USAGE;
	}
	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		struct finding f = { .state = OK };

		checks[i].check(&f);
		(void)printf("%-7s  %s: %s\n", states[f.state], checks[i].what, f.text);
		(void)fflush(stdout);		/* children must not say it again */
		if (checks[i].is_needed && f.state == NO)
			status = SN_EXIT_FAILED;
	}
	return status;
}
