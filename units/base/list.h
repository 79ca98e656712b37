#pragma once
/* A circular list whose links live in what they link. A link's comment names its owner. */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *previous;
};

#define LIST(name)                                                                                 \
    { &(name), &(name) }

static inline void list_init(struct list *list) {
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list) {
    return list->next == list;
}

static inline void list_append(struct list *list, struct list *link) {
    link->previous = list->previous;
    link->next = list;
    list->previous->next = link;
    list->previous = link;
}

/* The link may be removed twice: it points to itself afterwards. */
static inline void list_remove(struct list *link) {
    link->previous->next = link->next;
    link->next->previous = link->previous;
    list_init(link);
}

#define list_entry(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

#define list_first(list, type, member)                                                             \
    (list_is_empty(list) ? NULL : list_entry((list)->next, type, member))

#define list_for_each(entry, list, member)                                                         \
    for (entry = list_entry((list)->next, __typeof__(*entry), member); &entry->member != (list);   \
         entry = list_entry(entry->member.next, __typeof__(*entry), member))

/* The entry may be removed and freed inside the loop; no other may. */
#define list_for_each_safe(entry, following, list, member)                                         \
    for (entry = list_entry((list)->next, __typeof__(*entry), member),                             \
        following = list_entry(entry->member.next, __typeof__(*entry), member);                    \
         &entry->member != (list); entry = following,                                              \
        following = list_entry(entry->member.next, __typeof__(*entry), member))
