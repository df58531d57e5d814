#define _GNU_SOURCE
#include "clinux_kubelet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// As linux/openat2.h has it; older C libraries' headers lack the file.
struct clinux_open_how {
    uint64_t flags;
    uint64_t mode;
    uint64_t resolve;
};

#ifndef SYS_openat2
#define SYS_openat2 437
#endif

int clinux_openat2(int directory, const char *path, int flags, uint32_t mode, uint64_t resolve) {
    struct clinux_open_how how;
    memset(&how, 0, sizeof how);
    how.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC);
    how.mode = (flags & O_CREAT) ? mode : 0;
    how.resolve = resolve;
    long result = syscall(SYS_openat2, directory, path, &how, sizeof how);
    return result < 0 ? -errno : (int)result;
}

int clinux_mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data) {
    return mount(source, target, type, flags, data) == 0 ? 0 : -errno;
}

int clinux_unmount(const char *target, int detach) {
    return umount2(target, UMOUNT_NOFOLLOW | (detach ? MNT_DETACH : 0)) == 0 ? 0 : -errno;
}

// As linux/stat.h has it since 5.8; older C libraries' headers lack it.
#ifndef STATX_ATTR_MOUNT_ROOT
#define STATX_ATTR_MOUNT_ROOT 0x2000
#endif

int clinux_is_mount_point(const char *path) {
    struct statx found;
    if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &found) != 0) return -errno;
    if (!(found.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)) return -ENOTSUP;
    return (found.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}
