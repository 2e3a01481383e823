/* SPDX-License-Identifier: Apache-2.0
 *
 * inside_standin.c - no collector inside yet.  Dropped when control/ has one.
 */
#include <errno.h>

#include "control/control.h"

int
sn_control_begin(const struct sn_options *o)
{
	(void)o;
	return -ENOTSUP;
}

int
sn_control_join(void)
{
	return 0;
}

bool
sn_control_is_inside(void)
{
	return false;
}

const char *
sn_control_collector(void)
{
	return "";
}
