/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cleanup.h - ownership by scope.
 *
 * A function uses these attributes or a forward goto, never both. Each type declares its
 * own cleanup beside its _free with DEFINE_CLEANUP.
 */
#ifndef LZ_BASE_CLEANUP_H
#define LZ_BASE_CLEANUP_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup_(f) __attribute__((cleanup(f)))

/* Declares `static inline name_p(type **)` calling func when the pointer is not NULL. */
#define DEFINE_CLEANUP(type, func, name)                                                 \
	static inline void name(type *p)                                                 \
	{                                                                                \
		if (*p)                                                                  \
			func(*p);                                                        \
	}

static inline void cleanup_freep(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_unlockp(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

#define cleanup_free cleanup_(cleanup_freep)
#define cleanup_close cleanup_(cleanup_closep)
#define cleanup_fclose cleanup_(cleanup_fclosep)

/* Lock m until the end of the scope; once per scope. */
#define WITH_LOCK(m)                                                                     \
	cleanup_(cleanup_unlockp) __attribute__((unused)) pthread_mutex_t *lz_held_ =    \
		(pthread_mutex_lock(m), (m))

/* Hand an owned pointer (or fd) on: the variable no longer owns it. */
#define TAKE_PTR(p)                                                                      \
	({                                                                               \
		__typeof__(p) lz_tmp_ = (p);                                             \
		(p) = NULL;                                                              \
		lz_tmp_;                                                                 \
	})
#define TAKE_FD(fd)                                                                      \
	({                                                                               \
		int lz_tmp_ = (fd);                                                      \
		(fd) = -1;                                                               \
		lz_tmp_;                                                                 \
	})

#endif
