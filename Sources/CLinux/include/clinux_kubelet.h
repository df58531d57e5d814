#pragma once
#include <stdint.h>

// System calls of the kubelet's volumes that Swift's Glibc module lacks. All return 0 (or a descriptor) and -errno on failure.

/// openat2(2) with O_CLOEXEC. `resolve` is a set of CLINUX_RESOLVE_*. Returns a descriptor or -errno (-ENOSYS before Linux 5.6).
int clinux_openat2(int directory, const char *path, int flags, uint32_t mode, uint64_t resolve);

/// mount(2). Null strings are allowed where mount(2) allows them.
int clinux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data);

/// umount2(2) with MNT_DETACH when `detach` is not 0, never following a symbolic link at `target`.
int clinux_unmount(const char *target, int detach);

/// Whether something is mounted at `path` itself: 1 or 0; -ENOTSUP when the kernel does not tell (before Linux 5.8).
int clinux_is_mount_point(const char *path);

/// O_PATH, which Glibc's module hides behind _GNU_SOURCE.
#define CLINUX_O_PATH 0x200000

#define CLINUX_RESOLVE_NO_MAGICLINKS 0x02
#define CLINUX_RESOLVE_BENEATH 0x08

#define CLINUX_MS_NOSUID 2
#define CLINUX_MS_NODEV 4
#define CLINUX_MS_NOEXEC 8
#define CLINUX_MS_BIND 4096
#define CLINUX_MS_REC 16384
