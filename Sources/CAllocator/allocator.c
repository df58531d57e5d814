#include "CAllocator.h"
#include <jemalloc/jemalloc.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

// jemalloc reads this before main. As many arenas as it makes by itself (four for each core) would each keep what bursts left; dirty pages go back after a second.
const char *malloc_conf = "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0";

// This target itself links no allocator.
#pragma weak mallctl

bool callocator_return_memory(void) {
    bool on = true;
    return mallctl && mallctl("background_thread", NULL, NULL, &on, sizeof on) == 0;
}

static extent_hooks_t *standard;
static extent_hooks_t bulk;
static int bulk_arena = -1;

static void *alloc_huge(extent_hooks_t *hooks, void *address, size_t size, size_t alignment, bool *zero, bool *commit, unsigned arena) {
    (void)hooks;
    void *made = standard->alloc(standard, address, size, alignment, zero, commit, arena);
    // Small pages serve as well.
    if (made) madvise(made, size, MADV_HUGEPAGE);
    return made;
}

static void make_bulk_arena(void) {
    size_t size = sizeof standard;
    if (!mallctl || mallctl("arena.0.extent_hooks", &standard, &size, NULL, 0) != 0 || !standard) return;
    bulk = *standard;
    bulk.alloc = alloc_huge;
    extent_hooks_t *hooks = &bulk;
    unsigned made;
    size = sizeof made;
    if (mallctl("arenas.create", &made, &size, &hooks, sizeof hooks) == 0) bulk_arena = (int)made;
}

int callocator_begin_bulk(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_bulk_arena);
    if (bulk_arena < 0) return -1;
    unsigned previous, next = (unsigned)bulk_arena;
    size_t size = sizeof previous;
    return mallctl("thread.arena", &previous, &size, &next, sizeof next) == 0 ? (int)previous : -1;
}

void callocator_end_bulk(int previous) {
    if (previous < 0) return;
    unsigned arena = (unsigned)previous;
    mallctl("thread.arena", NULL, NULL, &arena, sizeof arena);
}
