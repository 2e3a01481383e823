/* SPDX-License-Identifier: Apache-2.0
 *
 * atomic.h - the only atomics of the tree, so that each ordering has a name.
 *
 * Runs in:  anywhere, also in signal handlers and across processes (all lock-free).
 */
#ifndef SN_BASE_ATOMIC_H
#define SN_BASE_ATOMIC_H

#define SN_LOAD_RELAXED(p)	__atomic_load_n((p), __ATOMIC_RELAXED)
#define SN_LOAD_ACQUIRE(p)	__atomic_load_n((p), __ATOMIC_ACQUIRE)
#define SN_STORE_RELAXED(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define SN_STORE_RELEASE(p, v)	__atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define SN_ADD_RELAXED(p, v)	__atomic_fetch_add((p), (v), __ATOMIC_RELAXED)

/* Compare and swap; *expected receives what was found when it fails. */
#define SN_CAS_RELAXED(p, expected, v) \
	__atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define SN_CAS_ACQ_REL(p, expected, v) \
	__atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)

/* Between a store and a load of something else, where two threads must not both miss what the other wrote. */
#define SN_FENCE()		__atomic_thread_fence(__ATOMIC_SEQ_CST)

/*
 * A counter with one writer: a plain add that another process may read at any
 * time without tearing.  Cheaper than a locked add; never use it with two writers.
 */
#define SN_BUMP(p, v)		SN_STORE_RELAXED((p), SN_LOAD_RELAXED(p) + (v))

#endif
