/* SPDX-License-Identifier: GPL-2.0-or-later */
/* store_priv.h - shared by the store*.c files, and by nothing else. */
#ifndef LZ_DAEMON_STORE_PRIV_H
#define LZ_DAEMON_STORE_PRIV_H

#include <pthread.h>

#include "daemon/control/store.h"

#define STORE_ZTOC_MAX_BYTES (1ull << 30)
#define STORE_MAP_MAX_BYTES (2ull << 30)

struct store {
	char dir[1024];
	char kernel_path[32];
	pthread_mutex_t install;
};

/* sha256 of a whole file. */
int store_digest_fd(int fd, struct digest *ret);
/* Is the layer's map the one of this zTOC? 1, 0 (absent or not), -errno. */
int store_map_read(const char *path, const struct digest *ztoc, struct layer_map **ret,
		   struct err *err);
/* Is a file there, of this size and digest (NULL: any)? */
bool store_file_is(const char *path, uint64_t size, const struct digest *digest);
/* fsync the file at `from`, rename it to `to`, fsync the folder of `to`. */
int store_file_move(const char *from, const char *to, struct err *err);
bool store_bootstrap_is_valid(const struct store *s, const char *image_id);

#endif
