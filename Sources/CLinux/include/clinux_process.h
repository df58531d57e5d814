#pragma once
#include <stddef.h>
#include <sys/types.h>

/// Runs argv to its end with `input` on its standard input, collecting standard output and error together.
/// `*output` is malloc'ed (free it), `*output_length` its length, cut at `output_limit`. Returns the exit code, 128 + the signal that ended it, or -errno if it could not be started.
int clinux_run(const char *const *argv, const char *input, size_t input_length, size_t output_limit, char **output, size_t *output_length);

/// Starts argv in a session of its own, with standard input from /dev/null and output appended to `log_path`. Returns the process id or -errno.
pid_t clinux_spawn_session(const char *const *argv, const char *log_path);

/// A file descriptor that becomes readable when process `pid` ends. -errno on failure.
int clinux_pidfd_open(pid_t pid);
/// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), which with the pid names a process for good; -1 when there is none.
long long clinux_process_start_time(pid_t pid);

typedef struct {
    const char *network_namespace;  // path of the namespace to join
    const char *host_name;
    const char *log_path;
    const char *const *cgroup_procs;  // paths of cgroup.procs files to join, NULL-terminated
    const char *const *containerd;  // argv, NULL-terminated
    const char *const *agent;       // argv, NULL-terminated
} clinux_machine;

/// Becomes a machine: joins the cgroups and the network namespace, makes mount, UTS, IPC and PID namespaces, and runs an init in them that keeps containerd and the
/// agent running and reaps what is orphaned. Returns only with -errno on failure, or the init's exit status. When this process ends, the init and all below it are killed.
/// SIGTERM to it is the machine's orderly end: the init passes SIGUSR1 to the agent and ends when the agent has; a second SIGTERM ends it at once.
/// Must be called before the process has a second thread.
int clinux_machine_run(const clinux_machine *machine);

/// Runs `body(context)` with the calling thread in the network namespace at `path`, then returns it to its own. 0 or -errno.
int clinux_in_network_namespace(const char *path, int (*body)(void *), void *context);
