/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * list.h - doubly linked list threaded through its elements.
 *
 * A head or a node that is in no list points at itself, so list_del() is idempotent.
 */
#ifndef LZ_BASE_LIST_H
#define LZ_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define container_of(ptr, type, member)                                                  \
	((type *)((char *)(ptr) - offsetof(type, member)))

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
	node->prev = head->prev;
	node->next = head;
	head->prev->next = node;
	head->prev = node;
}

static inline void list_del(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

#define list_first(head, type, member) container_of((head)->next, type, member)
/* The node in an element that may be no element: at the end, pos stands for the head. */
#define list_node_(pos, member)                                                          \
	((struct list *)((char *)(pos) + offsetof(__typeof__(*(pos)), member)))
#define list_for_each(pos, head, member)                                                 \
	for (pos = container_of((head)->next, __typeof__(*pos), member);                 \
	     list_node_(pos, member) != (head);                                          \
	     pos = container_of(pos->member.next, __typeof__(*pos), member))
#define list_for_each_safe(pos, tmp, head, member)                                       \
	for (pos = container_of((head)->next, __typeof__(*pos), member),                 \
	    tmp = container_of(list_node_(pos, member)->next, __typeof__(*pos), member); \
	     list_node_(pos, member) != (head);                                          \
	     pos = tmp, tmp = container_of(list_node_(tmp, member)->next,                \
					   __typeof__(*tmp), member))

#endif
