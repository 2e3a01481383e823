/* SPDX-License-Identifier: Apache-2.0
 *
 * shield.h - signals that a write of ours may raise, which are nobody else's business.
 *
 * Runs in:  any thread, round a write: SIGPIPE and SIGXFSZ are blocked for the calling thread, and what
 *           came of our write is taken back.  Not in signal handlers.
 */
#ifndef SN_BASE_SHIELD_H
#define SN_BASE_SHIELD_H

#include <signal.h>

struct sn_shield {
	sigset_t mask, pending;		/* of before */
};

void sn_shield_raise(struct sn_shield *s);
/* Take back what we raised, but not what was pending before us; then the mask is as it was. */
void sn_shield_lower(const struct sn_shield *s);

#endif
