/* SPDX-License-Identifier: Apache-2.0
 *
 * empty.c - an empty library for programs of the other word size: what LD_PRELOAD names must be there for them too, or
 * their loader says on stderr that it is not.
 *
 * Runs in:  32-bit programs that a profiled one starts.  Nothing is in it.
 */
extern int sn_empty_holds_nothing;
