/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h - what the files of service/ share.
 */
#ifndef SN_SERVICE_INTERNAL_H
#define SN_SERVICE_INTERNAL_H

#include <event2/event.h>

#include "base/buf.h"
#include "collect/process.h"
#include "deliver/http.h"
#include "deliver/socket.h"
#include "service/route.h"
#include "service/service.h"
#include "symbol/symbol.h"

/* A span that the program itself begins and ends (span.c). */
struct sn_span {
	uint64_t from_ns;		/* 0: none has begun */
	uint64_t cost_before_ns;	/* what we had spent by then */
	bool wakes;			/* the program had stopped sampling */
	bool toggled;			/* it is one of SN_ASK_TOGGLE */
	uint32_t toggles;		/* spans of SN_ASK_TOGGLE that have ended */
};

/* A process of the tree and the events that belong to it. */
struct sn_guest {
	struct sn_service *service;
	struct sn_process *process;
	int pidfd;			/* -1 where the kernel has none: looked at every second */
	struct event *ended;
	uint64_t own_cpu_ns;		/* what we spent on it */
	uint64_t sample_ns;		/* … to take samples from its rings */
	struct sn_buf cmdline;		/* as it was when the program began */
	struct sn_socket socket;
	struct sn_http_listener *listener;
	bool socket_tried;
	uint32_t takers;		/* clients that are taking a profile of it */
	uint64_t stack_start;		/* of its image, as the kernel says; 0 not known */
	struct sn_span span;
	bool file_is_final;		/* inside: profiler_stop() has written it */
	struct sn_guest *next;
};

/* Something that is symbolized and encoded out of the loop, then goes into a file or to who asked. */
struct sn_job {
	struct sn_process *process;	/* held: its modules are needed until the job is done */
	struct sn_window window;	/* the job's own profile; unused while profile is the process's */
	const struct sn_profile *profile;
	uint64_t *addr;			/* of a request to /symbol, instead of a profile */
	size_t addr_count;
	enum sn_symbolize how;		/* lowered when a child dies of it */
	char file[4096];		/* "": the bytes go to done */
	bool is_interim;		/* not the last word on its process */
	int memfd;			/* where a child leaves the bytes; -1 none */
	/* Called once.  memfd: the bytes, at its start; -1 on error and for files. */
	void (*done)(void *arg, int err, int memfd);
	void *arg;
	struct sn_job *next;
};

/* A child that does some of them, one after the other: what it has looked up once it knows. */
struct sn_worker {
	pid_t pid;			/* 0: idle */
	int result_fd;			/* the child writes one int a job: 0 or -errno */
	struct sn_job *jobs;
};
#define SN_WORKERS_MAX 4		/* half of them for files, the rest for those who wait */
#define SN_JOBS_MAX 64			/* of one worker */

/* Jobs that wait for a worker. */
struct sn_job_queue {
	struct sn_job *first;
	uint32_t count;
	uint64_t since_ns;
};

struct sn_take;
struct sn_inside_child;

struct sn_service {
	struct sn_options options;
	const char *file;
	struct event_base *base;
	int listener;
	char socket[64];
	struct event *accepting, *ticking, *signalled;
	int signal_fd;
	struct sn_images *images, own_images;
	struct sn_guest *guests;
	struct sn_job_queue files, answers;
	struct sn_worker workers[SN_WORKERS_MAX];
	uint32_t connections, asks, passed;
	uint64_t next_scan_ns, tick_ns;

	struct sn_http *http;
	struct sn_buf tree;		/* pids of the tree's other collectors, and when to look again */
	uint64_t tree_again_ns;
	struct sn_take *takes;
	uint16_t port;			/* of TCP; 0 none */
	char address[80];		/* HOST:PORT in force, "" none */
	char *runtime_dir;		/* XDG_RUNTIME_DIR as it was at the start */
	uint64_t began_ns;

	struct sn_host *host;		/* inside; NULL outside */
	struct sn_inside_child *child;	/* inside: the one job at work */
	uint64_t next_listen_ns;	/* inside: when a port that was taken is tried again */
	bool is_ending;			/* no new job */
	int spare_fd;			/* given up for a moment to turn away who knocks when there is no other */
	bool accept_paused;		/* until the next tick: out of descriptors, or somebody knocks too often */
	uint32_t turned_away;		/* since the last tick */
	struct {			/* inside: what the program asked for by host->flush_asked */
		uint32_t asked, files;	/* … so far; files still to be written */
		uint64_t began_ns;
		bool busy;
	} flush;

	pid_t command;
	bool command_ended;
	uint64_t command_ended_ns;
	uint64_t ended_cpu_ns;		/* of all processes that have ended, and of those who left word with them */
	struct sn_service_result *result;
};

/* welcome.c: segments, and calls of the API */
int sn_welcome_open(struct sn_service *s);

/* service.c */
void sn_service_tick(struct sn_service *s);	/* drain, scan, expire */
void sn_service_joined(struct sn_service *s);	/* a process has its segment: the next tick may be due earlier */
void sn_service_nudged(struct sn_service *s);	/* the program has changed host->stop */
bool sn_service_must_stop(const struct sn_service *s);	/* … to something else than to run; inside only */

/* guest.c */
struct sn_guest *sn_guest_find(struct sn_service *s, pid_t pid);
struct sn_guest *sn_guest_by_cookie(struct sn_service *s, uint64_t cookie);
/* The process that a client means who names none: the command, else the oldest that runs. */
struct sn_guest *sn_guest_main(struct sn_service *s);
struct sn_guest *sn_guest_new(struct sn_service *s, pid_t pid);
/* The same for a process that is known already; takes it over, unless it gives NULL: out of memory. */
struct sn_guest *sn_guest_of(struct sn_service *s, struct sn_process *p);
/* A program begins in the process: its arguments are read now, before it changes them. */
void sn_guest_note_program(struct sn_guest *g, const struct sn_guest *parent);
/* Give it its Unix socket, unless it has one. */
void sn_guest_open_socket(struct sn_guest *g);
/* Take it away; the next scan gives it another. */
void sn_guest_close_socket(struct sn_guest *g);
/* The process is gone, or a zombie whose clock can still be read. */
void sn_guest_end(struct sn_service *s, struct sn_guest *g);
/* Free it without a profile. */
void sn_guest_free(struct sn_service *s, struct sn_guest *g);
/*
 * Inside: has the process, a child of the program's, begun another image by exec?  That one has a collector inside it,
 * or is not profiled; it does not say so here.
 */
bool sn_guest_has_execed(struct sn_guest *g);
/* Begin a span of it, or end one: in SONDE=idle sampling follows. */
void sn_guest_pin(struct sn_guest *g);
void sn_guest_unpin(struct sn_guest *g);
/* CPU that the collector spends on g is counted between these two; the second gives what it was. */
uint64_t sn_guest_cost_begin(void);
uint64_t sn_guest_cost_end(struct sn_guest *g, uint64_t begun);

/* job.c */

struct sn_job *sn_job_new(struct sn_service *s, struct sn_process *p);
/* Takes the job over; done is called later, never from here. */
void sn_job_submit(struct sn_service *s, struct sn_job *j);
/* Into the file of the pattern; done may be NULL.  0 or -errno, then the job is freed without done. */
int sn_job_submit_file(struct sn_service *s, struct sn_job *j);
/* The same, with .N appended to the name. */
int sn_job_submit_numbered(struct sn_service *s, struct sn_job *j, uint32_t n);
/* Do the job's work into out; in the child, or inside. */
int sn_job_work(const struct sn_job *j, struct sn_symbolizer *sym, struct sn_buf *out);
/* The bytes into a memfd, from its start.  0 or -errno. */
int sn_job_fill(int memfd, const struct sn_buf *bytes);
void sn_job_finish(struct sn_service *s, struct sn_job *j, int err);
/* The job of this arg, if it has not started: its done is called with -ECANCELED.  false: it has, or there is none. */
bool sn_job_cancel(struct sn_service *s, const void *arg);
/* The same for all that wait. */
void sn_jobs_drop_all(struct sn_service *s);
/* Memory of the profiles that wait for an answer's bytes. */
size_t sn_jobs_bytes(const struct sn_service *s);
/* Write the profile of a process that has ended; takes the process over. */
void sn_job_add_ended(struct sn_service *s, struct sn_process *p);
/* Start children for what waits, if it has waited long enough to make one worth while. */
void sn_workers_start(struct sn_service *s);
/* A child has changed state: was it a worker? */
void sn_workers_reap(struct sn_service *s);
/* Is a profile waiting or being written? */
bool sn_workers_busy(const struct sn_service *s);

/* flush.c */
/* A job of the guest's profile up to now, or of its own span.  0 or -errno, and no job. */
int sn_job_so_far(struct sn_service *s, struct sn_guest *g, bool is_span, struct sn_job **out);
/* Write its file as of now; done (may be NULL) is called as for sn_job_submit_file.  0 or -errno, which is logged. */
int sn_flush_guest(struct sn_service *s, struct sn_guest *g, void (*done)(void *arg, int err, int memfd), void *arg);
/* Has anybody asked for a file? */
void sn_flush_tick(struct sn_service *s);

/* job_inside.c: no fork of the program; names come from a child that is another program */
void sn_job_run_inside(struct sn_service *s, struct sn_job *j);
/* End the child at once; its job goes on with what can be done here. */
void sn_inside_child_hurry(struct sn_service *s);
/* End it, and its job with -ECANCELED. */
void sn_inside_child_drop(struct sn_service *s);

/* span.c: a span that the program itself begins and ends */
int sn_span_begin(struct sn_service *s, struct sn_guest *g);
/* Its profile up to now, for the job; 0 or -errno. */
int sn_span_profile(struct sn_service *s, struct sn_guest *g, struct sn_job *j);
void sn_span_end(struct sn_service *s, struct sn_guest *g);
int sn_span_toggle(struct sn_service *s, struct sn_guest *g);
/* The program ends: the files of spans that SN_ASK_TOGGLE has begun.  Were there any, or is one being written? */
bool sn_span_end_toggled(struct sn_service *s);

/* answer.c */
/* Rows of the history that somebody will ask for stay. */
void sn_answers_pin_oldest(struct sn_service *s, struct sn_guest *g);
int sn_answers_open(struct sn_service *s);
void sn_answers_close(struct sn_service *s);
/* TCP at this address.  The port, or -errno with a line in why. */
int sn_answers_listen(struct sn_service *s, const char *address, char *why, size_t why_size);
/* The guest ends: clients get what there is; call after sn_process_finish, before it is freed. */
void sn_answers_guest_ends(struct sn_service *s, struct sn_guest *g);
/* Is a client waiting for an answer, or taking one? */
bool sn_answers_busy(const struct sn_service *s);

/* pass_on.c */
#define SN_PASSED_MAX 32
/* Is it of the tree that we serve, with a collector of its own or not? */
bool sn_tree_has(struct sn_service *s, pid_t pid);
/* The pids of processes of the tree that have collectors of their own, as of some seconds ago; how many. */
uint32_t sn_tree_list(struct sn_service *s, const pid_t **pids);
/* Have the collector of route->pid answer.  false: there is none to ask; the request is as it was. */
bool sn_pass_on(struct sn_service *s, const struct sn_route *route, struct sn_request *r);

/* page.c */
/* pid: as the path named it, 0 if it did not. */
void sn_page_index(struct sn_service *s, struct sn_guest *g, pid_t pid, struct sn_buf *out);
void sn_page_status(struct sn_service *s, struct sn_guest *g, struct sn_buf *out);

#endif
