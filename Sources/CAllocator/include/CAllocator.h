#ifndef CALLOCATOR_H
#define CALLOCATOR_H

#include <stdbool.h>

/// What is asked of the program's memory allocator beside malloc and free. Programs that link jemalloc get it; in others (tests, fuzzers) each of these does nothing.

/// Has a thread of the allocator give freed memory back after a second, also while the program is idle. False without jemalloc. A process that makes namespaces
/// must have done so before: it may have one thread only.
bool callocator_return_memory(void);

/// From now on the calling thread's allocations come from an arena that asks the kernel for huge pages: for what is many, and stays. The arena that served it before,
/// for `callocator_end_bulk`; -1 when nothing was changed. Page by page, the kernel's clearing of memory is more than half of what loading objects takes.
int callocator_begin_bulk(void);
/// The calling thread's allocations come from arena `previous` again; nothing for -1.
void callocator_end_bulk(int previous);

#endif
