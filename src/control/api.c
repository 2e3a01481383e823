/* SPDX-License-Identifier: Apache-2.0
 *
 * api.c - the functions of <sonde/profiler.h>.
 *
 * Runs in:  application threads, any of them; never in a signal handler.
 * Memory:   the SONDE_* of the environment, kept once if there are any; the texts of the options in
 *           force, until the next start.
 */
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/shield.h"
#include "base/syscall.h"
#include "config.h"
#include "control/control.h"
#include "segment/handshake.h"

#pragma GCC visibility push(default)
#include "profiler.h"
#pragma GCC visibility pop

#define SIZE_MAX_TAKEN	4096	/* of struct profiler_options: more is not a size, but what lay there */
#define CHUNK_BYTES	4096	/* a descriptor that poll calls writable takes so much without blocking */

/* A row of options.def without its field in struct profiler_options, or with another type, does not compile. */
#define TYPE_CHOICE	const char *
#define TYPE_LIST	const char *
#define TYPE_TEXT	const char *
#define TYPE_DURATION	const char *
#define TYPE_PERCENT	const char *
#define TYPE_SIZE	unsigned long long
#define TYPE_NUMBER	unsigned
#define TYPE_SIGNAL	int
#define SN_OPTION(field, var, flag, chr, TYPE, ...) \
	_Static_assert(__builtin_types_compatible_p(__typeof__(((struct profiler_options *)0)->field), TYPE_##TYPE), \
		"struct profiler_options: the type of " #field " is not that of options.def");
#include "base/options.def"
#undef SN_OPTION

/* Where each row of sn_option_table stands in the caller's struct. */
static const struct {
	const char *name;
	size_t offset, bytes;
} fields[] = {
#define SN_OPTION(field, ...) \
	{ "profiler_options." #field, offsetof(struct profiler_options, field), \
	  sizeof(((struct profiler_options *)0)->field) },
#include "base/options.def"
#undef SN_OPTION
};

static struct {
	uint32_t lock;			/* pid of the process that starts or stops; another's was inherited */
	int32_t locker;			/* … and the thread */
	char **environment;		/* SONDE_* as the program began; NULL: none */
	int environment_error;
	char *texts;			/* of the options in force */
	bool started;			/* by profiler_start(): what runs otherwise was started by the environment */
} api;

/* ---- manners ---- */

struct sn_call
sn_api_enter(void)
{
	struct sn_call c = { .error = errno };

	(void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &c.cancel_state);
	return c;
}

int
sn_api_leave(const struct sn_call *c, int result)
{
	(void)pthread_setcancelstate(c->cancel_state, NULL);
	errno = c->error;
	return result;
}

/* The holder of a lock that a forked child inherits does not exist there: such a lock is free. */
void
sn_api_lock(void)
{
	uint32_t me = (uint32_t)sn_syscall0(SYS_getpid);

	for (;;) {
		uint32_t holder = SN_LOAD_RELAXED(&api.lock);

		if (holder == me)
			(void)sn_syscall4(SYS_futex, &api.lock, FUTEX_WAIT_PRIVATE, me, 0);
		else if (SN_CAS_ACQ_REL(&api.lock, &holder, me))
			break;
	}
	SN_STORE_RELAXED(&api.locker, (int32_t)sn_syscall0(SYS_gettid));
}

bool
sn_api_is_locked_here(void)
{
	return SN_LOAD_RELAXED(&api.lock) == (uint32_t)sn_syscall0(SYS_getpid) &&
	    SN_LOAD_RELAXED(&api.locker) == (int32_t)sn_syscall0(SYS_gettid);
}

void
sn_api_unlock(void)
{
	SN_STORE_RELAXED(&api.locker, 0);
	SN_STORE_RELEASE(&api.lock, 0u);
	(void)sn_syscall3(SYS_futex, &api.lock, FUTEX_WAKE_PRIVATE, 1);
}

/* ---- options ---- */

void
sn_api_keep_environment(char *const *envp)
{
	size_t count = 0, bytes = 0;
	char **kept, *text;

	if (getauxval(AT_SECURE) != 0)
		return;
	for (char *const *e = envp; e != NULL && *e != NULL; e++) {
		if (strncmp(*e, "SONDE", 5) == 0) {
			count++;
			bytes += strlen(*e) + 1;
		}
	}
	if (count == 0)
		return;
	kept = malloc((count + 1) * sizeof(*kept) + bytes);
	if (kept == NULL) {
		api.environment_error = -ENOMEM;
		return;
	}
	text = (char *)(kept + count + 1);
	kept[count] = NULL;
	for (size_t i = 0; i < count; envp++) {
		if (strncmp(*envp, "SONDE", 5) != 0)
			continue;
		kept[i++] = text;
		text = stpcpy(text, *envp) + 1;
	}
	api.environment = kept;
}

/* The caller's struct, which may be older or newer than ours: what it lacks is zero, what we lack must be. */
static int
take_struct(const struct profiler_options *from, struct profiler_options *to, struct sn_complaint *why)
{
	size_t size = from->size;
	bool unknown = false;

	memset(to, 0, sizeof(*to));
	if (size < sizeof(from->size) || size > SIZE_MAX_TAKEN) {
		(void)snprintf(why->text, sizeof(why->text), "profiler_options.size=%zu is not its size", size);
		return -EINVAL;
	}
	memcpy(to, from, size < sizeof(*to) ? size : sizeof(*to));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].offset + fields[i].bytes > size)
			memset((char *)to + fields[i].offset, 0, fields[i].bytes);
	for (size_t i = sizeof(*to); i < size; i++)
		unknown |= ((const char *)from)[i] != 0;
	if (!unknown)
		return 0;
	(void)snprintf(why->text, sizeof(why->text),
		"profiler_options: a field is set that sonde " PACKAGE_VERSION " does not have");
	return -EINVAL;
}

/* One field as the text that it would be in the environment; NULL when it is at its default. */
static const char *
field_text(const struct profiler_options *from, size_t row, char number[32])
{
	const void *field = (const char *)from + fields[row].offset;
	unsigned long long value = 0;

	switch (sn_option_table[row].type) {
	case SN_TYPE_SIZE:
		value = *(const unsigned long long *)field;
		(void)snprintf(number, 32, "%llu", value);
		break;
	case SN_TYPE_NUMBER:
		value = *(const unsigned *)field;
		(void)snprintf(number, 32, "%llu", value);
		break;
	case SN_TYPE_SIGNAL:
		value = *(const int *)field != 0;
		(void)snprintf(number, 32, "%d", *(const int *)field);
		break;
	default: {
		const char *text = *(const char *const *)field;

		return text != NULL && *text != '\0' ? text : NULL;
	}
	}
	return value != 0 ? number : NULL;
}

/* Default, then struct, then environment.  Goes on after an error, so that the log is known; the first one wins. */
static int
read_options(const struct profiler_options *from, struct sn_options *o, struct sn_complaint *why)
{
	struct profiler_options ours;
	struct sn_complaint other;
	int err = 0, e;

	sn_options_default(o);
	if (from != NULL)
		err = take_struct(from, &ours, why);
	for (size_t i = 0; from != NULL && i < sn_option_count; i++) {
		char number[32];
		const char *text = field_text(&ours, i, number);

		/* Numbers become numbers; texts stay the caller's until they are kept. */
		if (text == NULL)
			continue;
		e = sn_option_set(o, &sn_option_table[i], fields[i].name, text, err < 0 ? &other : why);
		err = err < 0 ? err : e;
	}
	e = sn_options_from_env(o, api.environment, NULL, err < 0 ? &other : why);
	return err < 0 ? err : e;
}

static const char **
text_of(struct sn_options *o, size_t row)
{
	const struct sn_option *r = &sn_option_table[row];

	return r->type == SN_TYPE_TEXT ? (const char **)((char *)o + r->offset) : NULL;
}

/* Copies of all texts of o, which then point into *block. */
static int
keep_texts(struct sn_options *o, char **block)
{
	size_t bytes = 1;
	char *at;

	for (size_t i = 0; i < sn_option_count; i++) {
		const char **text = text_of(o, i);

		bytes += text != NULL && *text != NULL ? strlen(*text) + 1 : 0;
	}
	at = *block = malloc(bytes);
	if (at == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sn_option_count; i++) {
		const char **text = text_of(o, i);
		char *copy = at;

		if (text == NULL || *text == NULL)
			continue;
		at = stpcpy(copy, *text) + 1;
		*text = copy;
	}
	return 0;
}

/* ---- start and stop ---- */

bool
sn_api_must_share(void)
{
	return *sn_control_collector() != '\0' &&
	    (api.started || !sn_control_is_inside() || api.environment != NULL);
}

int
sn_api_start(const struct profiler_options *options)
{
	struct sn_complaint why = { "" };
	struct sn_options o;
	bool takes_over = *sn_control_collector() != '\0';
	char *texts = NULL;
	int err;

	/* Only the environment has started it: now the program's wishes count, where that has none. */
	if (takes_over && (api.started || !sn_control_is_inside()))
		return -EALREADY;	/* before the log in use is changed */
	err = read_options(options, &o, &why);
	(void)sn_log_open(o.log);	/* as in the constructor: a log that cannot be written stops nobody */
	if (err == 0)
		err = api.environment_error;
	if (err == 0 && o.mode == SN_MODE_OFF)
		err = -ENOTSUP;
	if (err == 0)
		err = keep_texts(&o, &texts);
	if (err == 0 && takes_over)
		(void)sn_control_join();
	if (err == 0)
		err = sn_control_begin(&o);
	if (err < 0) {
		sn_log(SN_LOG_FILE, "profiler_start: %s%s%s", why.text, *why.text != '\0' ? ": " : "", strerror(-err));
		free(texts);
		return err;
	}
	free(api.texts);
	api.texts = texts;
	api.started = true;
	(void)sn_control_collector();	/* it serves when we return: what is used from here on is in the profile */
	return 0;
}

int
profiler_start(const struct profiler_options *options)
{
	struct sn_call c = sn_api_enter();
	int err;

	sn_api_lock();
	err = sn_api_start(options);
	sn_api_unlock();
	return sn_api_leave(&c, err);
}

int
sn_api_stop(void)
{
	int err, e;

	if (*sn_control_collector() == '\0')
		return 0;
	err = sn_control_ask(SN_ASK_STOP, "", NULL, NULL);
	if (!sn_control_is_inside())
		return err;
	api.started = false;
	e = sn_control_join();
	return err < 0 ? err : e;
}

int
profiler_stop(void)
{
	struct sn_call c = sn_api_enter();
	int err;

	sn_api_lock();
	err = sn_api_stop();
	sn_api_unlock();
	return sn_api_leave(&c, err);
}

int
profiler_flush(void)
{
	struct sn_call c = sn_api_enter();

	return sn_api_leave(&c, sn_control_ask(SN_ASK_FLUSH, "", NULL, NULL));
}

/* ---- write ---- */

/* Wait until fd takes something.  0; -ETIMEDOUT; an fd that is wrong or broken shows when it is written. */
static int
await_room(int fd, uint64_t until_ns)
{
	for (;;) {
		uint64_t now = sn_clock_mono_ns(), left = until_ns > now ? until_ns - now : 0;
		struct timespec wait = { (time_t)(left / SN_NS_PER_SEC), (long)(left % SN_NS_PER_SEC) };
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		long n = sn_syscall5(SYS_ppoll, &p, 1, &wait, NULL, 0);

		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (n != -EINTR)
			return (int)n;
	}
}

static int
write_chunk(int fd, const char *data, size_t len, uint64_t until_ns)
{
	while (len > 0) {
		int err = await_room(fd, until_ns);
		long n;

		if (err < 0)
			return err;
		n = sn_syscall3(SYS_write, fd, data, len);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* The first bytes of the memfd into the caller's descriptor. */
int
sn_api_copy_out(int from, uint64_t bytes, int fd, uint64_t until_ns)
{
	char chunk[CHUNK_BYTES];
	int err = 0;

	for (uint64_t at = 0; at < bytes && err == 0;) {
		uint64_t want = bytes - at < sizeof(chunk) ? bytes - at : sizeof(chunk);
		long n = sn_syscall4(SYS_pread64, from, chunk, want, at);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		err = write_chunk(fd, chunk, (size_t)n, until_ns);
		at += (uint64_t)n;
	}
	return err;
}

static int
write_profile(const char *kind, int fd)
{
	uint64_t until = sn_clock_mono_ns() + SN_ASK_WAIT_NS, bytes;
	struct sn_shield shield;
	int from, err;

	if (kind == NULL || fd < 0)
		return kind == NULL ? -EINVAL : -EBADF;
	err = sn_control_ask(SN_ASK_WRITE, kind, &bytes, &from);
	if (err == 0 && from < 0)
		return -EPROTO;
	if (err < 0)
		return err == -E2BIG ? -ENOENT : err;
	sn_shield_raise(&shield);
	err = sn_api_copy_out(from, bytes, fd, until);
	sn_shield_lower(&shield);
	(void)sn_syscall1(SYS_close, from);
	return err;
}

int
profiler_write(const char *kind, int fd)
{
	struct sn_call c = sn_api_enter();

	return sn_api_leave(&c, write_profile(kind, fd));
}

/* ---- the rest ---- */

int
profiler_serve(const char *address)
{
	struct sn_call c = sn_api_enter();
	uint64_t port = 0;
	int err = sn_control_ask(SN_ASK_SERVE, address != NULL ? address : "localhost:0", &port, NULL);

	if (err == -E2BIG)
		err = -EINVAL;
	if (err == 0)
		err = port >= 1 && port <= 65535 ? (int)port : -EPROTO;
	return sn_api_leave(&c, err);
}

const char *
profiler_version(void)
{
	return PACKAGE_VERSION;
}
