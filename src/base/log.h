/* SPDX-License-Identifier: Apache-2.0
 *
 * log.h - one line to people: stderr for errors, SONDE_LOG for the rest.
 *
 * Runs in:  application threads (constructor), collector, tools.  Never in hot/:
 *           sn_log formats on the stack and writes with one write(2), no stdio lock.
 */
#ifndef SN_BASE_LOG_H
#define SN_BASE_LOG_H

/* Where lines go: SN_LOG_STDERR also tells the user, SN_LOG_FILE only the log file. */
enum sn_log_to { SN_LOG_FILE = 0, SN_LOG_STDERR = 1 };

/*
 * Open SONDE_LOG for appending; NULL or "" closes it.  0 or -errno.  The path is kept
 * by value and opened for each line: no descriptor stays open in the program.
 */
int sn_log_open(const char *path);
/*
 * Hold it open from here on, in a descriptor table that is nobody else's: the program may give up the right to open it.
 */
void sn_log_keep(void);

/* One line "sonde: …\n"; longer than 1000 bytes is cut.  Keeps errno. */
void sn_log(enum sn_log_to to, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
