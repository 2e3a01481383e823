/* SPDX-License-Identifier: Apache-2.0
 *
 * tables.h - the tables of src as lines for options.awk; only ever preprocessed.
 */
#define SN_OPTION(field, var, flag, chr, TYPE, def, min, max, choices, arg, help, more) \
	@option var @ flag @ chr @ TYPE @ def @ min @ max @ choices @ arg @ help @ more @ field @end
#include "base/options.def"
#define SN_COUNTER(field, name, what) @counter name @ what @end
#define SN_SYMBOL_COUNTER SN_COUNTER
#define SN_FILL_COUNTER SN_COUNTER
#include "base/counters.def"
#define SN_STATUS_KEY(field, key, what) @status key @ what @end
#include "deliver/status.def"
