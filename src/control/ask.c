/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.c - the calls of the API that the collector answers, inside or outside.
 *
 * Runs in:  application threads; no descriptor but the answer's stays open.
 */
#include <errno.h>
#include <string.h>

#include "base/atomic.h"
#include "base/syscall.h"
#include "control/control.h"
#include "control/exchange.h"

int
sn_control_ask(uint32_t op, const char *text, uint64_t *value, int *fd)
{
	const struct sn_hello hello = {
		.magic = SN_HELLO_MAGIC, .version = SN_SEGMENT_VERSION, .kind = SN_HELLO_ASK,
	};
	struct sn_ask ask = { .op = op };
	uint8_t message[sizeof(hello) + sizeof(ask)];	/* without the padding of a struct of both */
	const char *name = sn_control_collector();
	size_t len = strlen(text);
	struct sn_offer o;
	int err;

	if (fd != NULL)
		*fd = -1;
	if (SN_LOAD_RELAXED(&sn_seal) != 0)
		return -EPERM;
	if (len >= sizeof(ask.text))
		return -E2BIG;
	if (*name == '\0')
		return -ENOTCONN;
	memcpy(ask.text, text, len);
	memcpy(message, &hello, sizeof(hello));
	memcpy(message + sizeof(hello), &ask, sizeof(ask));
	err = sn_exchange(name, message, sizeof(message), SN_ASK_WAIT_NS, &o);
	if (err == 0 && value != NULL)
		*value = o.welcome.bytes;
	if (err == 0 && fd != NULL)
		*fd = o.fd;
	else if (o.fd >= 0)
		(void)sn_syscall1(SYS_close, o.fd);
	return err;
}
