/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fanotify.h - fanotify's user interface as of Linux 6.14, for build machines whose kernel
 * headers are older (Debian 12: 6.1). Source: include/uapi/linux/fanotify.h.
 */
#ifndef LZ_ABI_FANOTIFY_H
#define LZ_ABI_FANOTIFY_H

#include <stdint.h>
#include <sys/fanotify.h>

/* Linux 6.14: raised before file content is read; the answer decides. */
#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS 0x00100000
#endif

/* Linux 6.14: record after the metadata of a FAN_PRE_ACCESS event. */
#ifndef FAN_EVENT_INFO_TYPE_RANGE
#define FAN_EVENT_INFO_TYPE_RANGE 6
#endif

/* Linux 6.14: a denial may carry EPERM, EIO, EBUSY, ETXTBSY, EAGAIN, ENOSPC or EDQUOT. */
#ifndef FAN_DENY_ERRNO
#define FAN_DENY_ERRNO(err) (FAN_DENY | (((uint32_t)(err) & 0xff) << 24))
#endif

/* Linux 6.0: an ignore mask that says what it ignores. */
#ifndef FAN_MARK_IGNORE
#define FAN_MARK_IGNORE 0x00000400
#endif

/* Linux 5.19: a mark that does not pin its inode. */
#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200
#endif

/* struct fanotify_event_info_range of 6.14, under a name that no header has. */
struct abi_fanotify_range {
	struct fanotify_event_info_header hdr;
	uint32_t pad;
	uint64_t offset;
	uint64_t count;
};

/* What one read() returns for one FAN_PRE_ACCESS event. */
struct abi_fanotify_event {
	struct fanotify_event_metadata meta;
	struct abi_fanotify_range range;
};
_Static_assert(sizeof(struct abi_fanotify_event) == 48, "layout of a pre-access event");

#endif
