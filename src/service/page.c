/* SPDX-License-Identifier: Apache-2.0
 *
 * page.c - the index page: what is there, what it costs, how to fetch it; and the same for tools.
 *
 * Runs in:  the collector's loop.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/clock.h"
#include "collect/tables.h"
#include "deliver/status.h"
#include "service/internal.h"

/* What sonde costs the program, as the page and `sonde ps` show it. */
struct figures {
	double cpu_s, handler_percent, collector_percent, lived_s, kept_s;
	size_t bytes;
	uint32_t others;
};

static void
put_escaped(struct sn_buf *b, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			sn_buf_putf(b, "&#%u;", c);
		else if (c == '\0' || c < ' ' || c == 0x7f)
			sn_buf_put(b, " ", 1);
		else
			sn_buf_put(b, &c, 1);
	}
}

static void
get_figures(struct sn_service *s, struct sn_guest *g, struct figures *f)
{
	struct sn_process *p = g->process;
	uint64_t now = sn_clock_mono_ns(), handler = p->count.handler_ns;
	struct sn_http_figures http;
	double cpu;

	(void)sn_process_read_cpu(p);
	cpu = p->cpu_ns > 0 ? (double)p->cpu_ns : 1;
	for (uint32_t i = 0; p->has_segment && i < p->slots_used; i++)
		handler += p->seg.slots[i].handler_ns;
	sn_http_figures(s->http, &http);
	*f = (struct figures){
		.cpu_s = (double)p->cpu_ns / 1e9,
		.handler_percent = 100 * (double)handler / cpu,
		.collector_percent = 100 * (double)g->own_cpu_ns / cpu,
		.lived_s = (double)(now - p->began_mono_ns) / 1e9,
		.kept_s = (double)(now - p->history.from_ns) / 1e9,
		.bytes = p->profile.held_bytes + p->history.held_bytes + s->images->held_bytes +
			sn_tables_held(s->images) + p->ring_touched + http.bytes_held,
	};
	for (const struct sn_guest *i = s->guests; i != NULL; i = i->next)
		f->others += i != g;
}

static const char *
base_name(const struct sn_process *p)
{
	const char *base = strrchr(p->exe, '/');

	return base != NULL ? base + 1 : p->exe;
}

static void
put_head(struct sn_guest *g, const struct figures *f, struct sn_buf *b)
{
	const struct sn_process *p = g->process;

	sn_buf_putf(b, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n<title>");
	put_escaped(b, base_name(p), strlen(base_name(p)));
	sn_buf_putf(b, " %d: /debug/pprof/</title>\n<style>\n"
		":root{color-scheme:light dark}\n"
		"body{font:16px/1.5 system-ui,sans-serif;max-width:56em;margin:2em auto;padding:0 1em}\n"
		"table{border-collapse:collapse;margin:.5em 0}td,th{padding:.15em 1.2em .15em 0;text-align:left;"
		"vertical-align:top}\ntd.n{text-align:right;font-variant-numeric:tabular-nums}\n"
		"code,pre{font:14px/1.5 ui-monospace,monospace}pre{overflow-x:auto}\n"
		"h1{font-size:1.5em;margin-bottom:0}h2{font-size:1.1em;margin-top:1.6em}"
		"p.sub{margin-top:0;opacity:.75}\n"
		"</style>\n</head>\n<body>\n<h1>", (int)p->pid);
	put_escaped(b, base_name(p), strlen(base_name(p)));
	sn_buf_putf(b, "</h1>\n<p class=\"sub\">/debug/pprof/ of process %d, profiled for %.0f s, which used "
		"%.2f s of CPU time</p>\n<p><code>", (int)p->pid, f->lived_s, f->cpu_s);
	put_escaped(b, (const char *)g->cmdline.data, g->cmdline.len < 1000 ? g->cmdline.len : 1000);
	sn_buf_putf(b, "%s</code></p>\n", g->cmdline.len < 1000 ? "" : " …");
}

static void
put_profiles(struct sn_service *s, struct sn_guest *g, const struct figures *f, struct sn_buf *b)
{
	bool idle = s->options.mode == SN_MODE_IDLE;
	char why[200];

	(void)sn_process_engine(g->process, why);
	sn_buf_putf(b, "<h2>Types of profiles available</h2>\n<table>\n"
		"<tr><th>Count</th><th>Profile</th><th></th></tr>\n"
		"<tr><td class=\"n\"></td><td><a href=\"cmdline\">cmdline</a></td>"
		"<td>the command line of the program, arguments separated by NUL</td></tr>\n"
		"<tr><td class=\"n\">%llu</td><td><a href=\"profile?seconds=30\">profile</a></td>"
		"<td>where threads spend CPU time; <code>seconds=N</code> from now (default 30)",
		(unsigned long long)g->process->count.samples);
	if (!idle && s->options.keep > 0)
		sn_buf_putf(b, ", or <code>last=N</code> for the past at once: "
			"<a href=\"profile?last=60\">the last minute</a> (%.0f s are kept)",
			f->kept_s < f->lived_s ? f->kept_s : f->lived_s);
	sn_buf_putf(b, "</td></tr>\n<tr><td class=\"n\"></td><td><a href=\"symbol\">symbol</a></td>"
		"<td>names of addresses, GET or POST <code>0xADDRESS+0xADDRESS</code></td></tr>\n</table>\n");
	sn_buf_putf(b, "<p>CPU profiles at %lld Hz of CPU time. %s%s%s%s</p>\n", (long long)s->options.hz, idle ?
		"SONDE=idle: nothing is sampled until a profile is asked for." : "",
		*why != '\0' && !idle ? "Engine: " : "", idle ? "" : why, *why != '\0' && !idle ? "." : "");
}

static void
put_cost(struct sn_guest *g, const struct figures *f, struct sn_buf *b)
{
	const struct sn_counters *c = &g->process->count;

	sn_buf_putf(b, "<h2>What it costs</h2>\n<table>\n"
		"<tr><td>signal handler</td><td class=\"n\">%.3f %%</td>"
		"<td>of the program's CPU time, since its start</td></tr>\n"
		"<tr><td>collector</td><td class=\"n\">%.3f %%</td><td>of the program's CPU time, beside it</td></tr>\n"
		"<tr><td>memory held</td><td class=\"n\">%.1f MiB</td>"
		"<td>rings, tables, stacks, history, answers</td></tr>\n"
		"<tr><td>samples lost</td><td class=\"n\">%llu</td><td>shown in profiles as [lost]</td></tr>\n"
		"<tr><td>stacks truncated</td><td class=\"n\">%llu</td><td>shown as [truncated]</td></tr>\n"
		"<tr><td>not unwound</td><td class=\"n\">%llu</td><td>shown as [unwind failed]</td></tr>\n"
		"<tr><td>stacks dropped</td><td class=\"n\">%llu</td>"
		"<td>for memory; shown as [stack dropped]</td></tr>\n"
		"</table>\n", f->handler_percent, f->collector_percent, (double)f->bytes / 1048576,
		(unsigned long long)c->lost, (unsigned long long)c->truncated, (unsigned long long)c->unwind_failed,
		(unsigned long long)c->stacks_dropped);
}

static void
put_how(struct sn_service *s, struct sn_guest *g, pid_t named, struct sn_buf *b)
{
	char prefix[32] = "";

	if (named != 0)
		(void)snprintf(prefix, sizeof(prefix), "/pid/%d", (int)named);
	sn_buf_putf(b, "<h2>How to fetch it</h2>\n<pre>");
	if (s->address[0] != '\0')
		sn_buf_putf(b, "go tool pprof -http=: 'http://%s%s/debug/pprof/profile?seconds=30'\n"
			"curl -o cpu.pb.gz 'http://%s%s/debug/pprof/profile?seconds=30'\n", s->address, prefix,
			s->address, prefix);
	sn_buf_putf(b, "sonde fetch %d --seconds 30\n", (int)g->process->pid);
	if (s->options.mode != SN_MODE_IDLE && s->options.keep > 0)
		sn_buf_putf(b, "sonde fetch %d --last 60\n", (int)g->process->pid);
	if (g->socket.path[0] == '/') {
		sn_buf_putf(b, "curl -o cpu.pb.gz --unix-socket ");
		put_escaped(b, g->socket.path, strlen(g->socket.path));
		sn_buf_putf(b, " 'http://localhost/debug/pprof/profile?seconds=30'\n");
	}
	sn_buf_putf(b, "</pre>\n");
}

/* What a process calls itself; nothing if it has ended meanwhile. */
static void
put_comm(struct sn_buf *b, pid_t pid)
{
	struct sn_buf comm = { 0 };
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (sn_buf_read_path(&comm, path, 64) == 0)
		put_escaped(b, (const char *)comm.data, comm.len > 0 ? comm.len - 1 : 0);
	sn_buf_free(&comm);
}

/* Links are absolute: on a listener of another guest as well. */
static void
put_others(struct sn_service *s, struct sn_guest *g, const struct figures *f, struct sn_buf *b)
{
	const pid_t *pids = NULL;
	uint32_t listed = 0, beside = s->address[0] != '\0' ? sn_tree_list(s, &pids) : 0;

	if (f->others + beside == 0)
		return;
	sn_buf_putf(b, "<h2>Other processes of this tree</h2>\n<ul>\n");
	for (const struct sn_guest *i = s->guests; i != NULL && listed < 200; i = i->next) {
		if (i == g)
			continue;
		listed++;
		sn_buf_putf(b, "<li><a href=\"/pid/%d/debug/pprof/\">%d</a> ", (int)i->process->pid,
			(int)i->process->pid);
		put_escaped(b, base_name(i->process), strlen(base_name(i->process)));
		sn_buf_putf(b, "</li>\n");
	}
	for (uint32_t i = 0; i < beside; i++) {
		sn_buf_putf(b, "<li><a href=\"/pid/%d/debug/pprof/\">%d</a> ", (int)pids[i], (int)pids[i]);
		put_comm(b, pids[i]);
		sn_buf_putf(b, ", over its own socket</li>\n");
	}
	sn_buf_putf(b, "</ul>\n");
	if (listed < f->others)
		sn_buf_putf(b, "<p>and %u more</p>\n", f->others - listed);
}

void
sn_page_index(struct sn_service *s, struct sn_guest *g, pid_t named, struct sn_buf *out)
{
	struct figures f;

	get_figures(s, g, &f);
	put_head(g, &f, out);
	put_profiles(s, g, &f, out);
	put_cost(g, &f, out);
	put_how(s, g, named, out);
	put_others(s, g, &f, out);
	sn_buf_putf(out, "<p class=\"sub\">sonde %s</p>\n</body>\n</html>\n", PACKAGE_VERSION);
}

static uint32_t
count_threads(const struct sn_process *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; p->has_segment && i < p->slots_used; i++)
		n += SN_LOAD_RELAXED(&p->seg.slots[i].state) != SN_SLOT_FREE;
	return n;
}

static void
put_children(struct sn_service *s, struct sn_guest *g, struct sn_buf *out)
{
	char text[SN_STATUS_VALUE_MAX] = "";
	size_t at = 0;

	for (const struct sn_guest *i = s->guests; i != NULL && at < sizeof(text) - 12; i = i->next)
		if (i != g)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%d", at > 0 ? " " : "",
				(int)i->process->pid);
	sn_status_put(out, SN_STATUS_children, "%s", text);
}

void
sn_page_status(struct sn_service *s, struct sn_guest *g, struct sn_buf *out)
{
	const struct sn_process *p = g->process;
	uint64_t pid = p->has_segment ? p->seg.shared->pid_inside : (uint64_t)p->pid;
	uint64_t tick_hz = SN_NS_PER_SEC / sn_clock_tick_ns();
	uint64_t hz = (uint64_t)s->options.hz;
	char why[200];
	const char *engine = sn_process_engine(p, why);
	struct figures f;

	get_figures(s, g, &f);
	sn_status_put(out, SN_STATUS_pid, "%llu", (unsigned long long)pid);
	sn_status_put(out, SN_STATUS_program, "%s", base_name(p));
	sn_status_put(out, SN_STATUS_kinds, "%s", s->options.kinds & SN_KIND_CPU ? "cpu" : "none");
	sn_status_put(out, SN_STATUS_mode, "%s", p->sampling ? "on" : "idle");
	sn_status_put(out, SN_STATUS_hz, "%llu", (unsigned long long)hz);
	if (hz > tick_hz && strcmp(engine, "perf") != 0)
		hz = tick_hz;
	sn_status_put(out, SN_STATUS_hz_effective, "%llu", (unsigned long long)hz);
	sn_status_put(out, SN_STATUS_engine, "%s", engine);
	sn_status_put(out, SN_STATUS_samples, "%llu", (unsigned long long)p->count.samples);
	sn_status_put(out, SN_STATUS_lost, "%llu", (unsigned long long)p->count.lost);
	sn_status_put(out, SN_STATUS_memory_bytes, "%zu", f.bytes);
	sn_status_put(out, SN_STATUS_handler_percent, "%.3f", f.handler_percent);
	sn_status_put(out, SN_STATUS_collector_percent, "%.3f", f.collector_percent);
	sn_status_put(out, SN_STATUS_started, "%llu", (unsigned long long)(p->began_real_ns / SN_NS_PER_SEC));
	sn_status_put(out, SN_STATUS_threads, "%u", count_threads(p));
	sn_status_put(out, SN_STATUS_socket, "%s", g->socket.path);
	sn_status_put(out, SN_STATUS_http, "%s", s->address);
	put_children(s, g, out);
	sn_status_put(out, SN_STATUS_version, "%s", PACKAGE_VERSION);
}
