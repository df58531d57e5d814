#define _GNU_SOURCE
#include "clinux_process.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static int spawn(const char *const *argv, int in, int out, bool session, pid_t *pid) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in, 0);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, out, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    if (session) flags |= POSIX_SPAWN_SETSID;
    posix_spawnattr_setflags(&attributes, flags);
    int error = posix_spawnp(pid, argv[0], &actions, &attributes, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

// write(2) that answers EPIPE without the signal, which would end a process that does not ignore it.
static ssize_t write_quietly(int descriptor, const char *bytes, size_t length) {
    sigset_t pipe, old, pending;
    sigemptyset(&pipe), sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &old);
    ssize_t n = write(descriptor, bytes, length);
    int error = errno;
    struct timespec now = {0, 0};
    if (n < 0 && error == EPIPE && !sigismember(&pending, SIGPIPE)) while (sigtimedwait(&pipe, NULL, &now) < 0 && errno == EINTR) {}
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    errno = error;
    return n;
}

int clinux_run(const char *const *argv, const char *input, size_t input_length, size_t output_limit, char **output, size_t *output_length) {
    *output = NULL;
    *output_length = 0;
    int in[2], out[2];
    if (pipe2(in, O_CLOEXEC) != 0) return -errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        int error = errno;
        close(in[0]), close(in[1]);
        return -error;
    }
    pid_t pid;
    int error = spawn(argv, in[0], out[1], false, &pid);
    close(in[0]), close(out[1]);
    if (error != 0) {
        close(in[1]), close(out[0]);
        return -error;
    }
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    size_t written = 0, capacity = 4096, length = 0;
    char *buffer = malloc(capacity), scratch[4096];
    int writing = in[1];
    if (input_length == 0) close(writing), writing = -1;
    for (;;) {
        struct pollfd fds[2] = {{out[0], POLLIN, 0}, {writing, POLLOUT, 0}};
        if (poll(fds, writing >= 0 ? 2 : 1, -1) < 0 && errno != EINTR) break;
        if (writing >= 0 && fds[1].revents) {
            // A child that closed its input ends the writing.
            ssize_t n = write_quietly(writing, input + written, input_length - written);
            if (n > 0) written += (size_t)n;
            if ((n < 0 && errno != EAGAIN && errno != EINTR) || written == input_length) close(writing), writing = -1;
        }
        if (fds[0].revents) {
            ssize_t n = read(out[0], scratch, sizeof scratch);
            if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (n <= 0) break;
            size_t keep = length + (size_t)n > output_limit ? output_limit - length : (size_t)n;
            if (buffer && length + keep > capacity) {
                while (capacity < length + keep) capacity *= 2;
                char *larger = realloc(buffer, capacity);
                if (!larger) free(buffer);
                buffer = larger;
            }
            if (buffer) memcpy(buffer + length, scratch, keep), length += keep;
        }
    }
    if (writing >= 0) close(writing);
    close(out[0]);
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    *output = buffer;
    *output_length = buffer ? length : 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

pid_t clinux_spawn_session(const char *const *argv, const char *log_path) {
    int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0) return -errno;
    int out = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0) {
        int error = errno;
        close(in);
        return -error;
    }
    pid_t pid;
    int error = spawn(argv, in, out, true, &pid);
    close(in), close(out);
    return error == 0 ? pid : -error;
}

int clinux_pidfd_open(pid_t pid) {
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd < 0 ? -errno : fd;
}

long long clinux_process_start_time(pid_t pid) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file) return -1;
    size_t n = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[n] = 0;
    char *at = strrchr(line, ')');  // The command's name may hold anything, also spaces and parentheses.
    if (!at) return -1;
    long long start = -1;
    char state = 0;
    if (sscanf(at + 1, " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %lld", &state, &start) != 2) return -1;
    return state == 'Z' || state == 'X' ? -1 : start;
}

// ---- the machine ----

/// A program that the init keeps running.
typedef struct {
    const char *const *argv;
    pid_t pid;
    time_t started;
    int delay;  // seconds before the next start, doubled by each quick end
    time_t due;
} supervised;

static time_t monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static void start(supervised *program) {
    sigset_t none;
    sigemptyset(&none);
    program->started = monotonic();
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &none, NULL);
        setsid();
        execvp(program->argv[0], (char *const *)program->argv);
        fprintf(stderr, "machine: cannot start %s: %s\n", program->argv[0], strerror(errno));
        _exit(127);
    }
    program->pid = pid;
}

/// PID 1 of the machine.
static int machine_init(const clinux_machine *machine) {
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) return errno;
    // Sockets and namespace mounts of this machine live on a /run of its own and vanish with it.
    if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=256m") != 0) return errno;
    if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) return errno;
    // Mounts that containers make with bidirectional propagation must reach the agent: one peer group inside the machine.
    if (mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL) != 0) return errno;
    if (sethostname(machine->host_name, strlen(machine->host_name)) != 0) return errno;

    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, NULL);

    supervised programs[2] = {{machine->containerd, 0, 0, 0, 0}, {machine->agent, 0, 0, 0, 0}};
    supervised *agent = &programs[1];
    bool ending = false;
    for (int i = 0; i < 2; i++) start(&programs[i]);
    for (;;) {
        time_t now = monotonic();
        struct timespec wait = {3600, 0};
        for (int i = 0; i < 2; i++) {
            if (programs[i].pid > 0) continue;
            if (programs[i].due <= now) start(&programs[i]);
            else if (programs[i].due - now < wait.tv_sec) wait.tv_sec = programs[i].due - now;
        }
        int signal = sigtimedwait(&wanted, NULL, &wait);
        if (signal == SIGTERM) {
            // The machine is to end: its agent ends the pods first, and then itself. Whatever else ends the agent leaves pods as they are. Without an
            // agent, or asked again, the machine ends now: the namespace's other processes are killed by the kernel.
            if (ending || agent->pid <= 0) return 0;
            ending = true;
            kill(agent->pid, SIGUSR1);
        }
        int status;
        pid_t pid;
        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
            for (int i = 0; i < 2; i++) {
                if (programs[i].pid != pid) continue;
                fprintf(stderr, "machine: %s ended with status %d\n", programs[i].argv[0], status);
                programs[i].pid = 0;
                now = monotonic();
                if (now - programs[i].started > 10) programs[i].delay = 0;
                programs[i].due = now + programs[i].delay;
                programs[i].delay = programs[i].delay == 0 ? 1 : programs[i].delay < 16 ? programs[i].delay * 2 : 16;
            }
        }
        if (ending && agent->pid <= 0) return 0;
    }
}

int clinux_machine_run(const clinux_machine *machine) {
    for (const char *const *path = machine->cgroup_procs; *path; path++) {
        int fd = open(*path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) return -errno;
        ssize_t n = write(fd, "0", 1);
        int error = errno;
        close(fd);
        if (n != 1) return -error;
    }
    int net = open(machine->network_namespace, O_RDONLY | O_CLOEXEC);
    if (net < 0) return -errno;
    if (setns(net, CLONE_NEWNET) != 0) return -errno;
    close(net);
    if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID) != 0) return -errno;
    // Held back from here on, so that the init loses none while it begins: the first process of a namespace ignores what it does not wait for.
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int error = machine_init(machine);
        if (error) fprintf(stderr, "machine: init: %s\n", strerror(error));
        _exit(error ? 1 : 0);
    }
    int status;
    for (;;) {
        pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) break;
        if (ended < 0 && errno != EINTR) return -errno;
        if (sigwaitinfo(&wanted, NULL) == SIGTERM) kill(child, SIGTERM);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int clinux_in_network_namespace(const char *path, int (*body)(void *), void *context) {
    int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    if (own < 0) return -errno;
    int other = open(path, O_RDONLY | O_CLOEXEC);
    int result;
    if (other < 0) {
        result = -errno;
    } else if (setns(other, CLONE_NEWNET) != 0) {
        result = -errno;
    } else {
        result = body(context);
        if (setns(own, CLONE_NEWNET) != 0) abort();  // A thread left in a foreign network must not go on.
    }
    if (other >= 0) close(other);
    close(own);
    return result;
}
