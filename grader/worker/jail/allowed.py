"""What a worker may ask of the kernel, and why. Everything that does not stand here is refused with EPERM.

Absent on purpose: sockets and connections (socket, socketpair, connect, bind, listen, accept); other processes (fork,
vfork, execve, wait4, ptrace, process_vm_*, pidfd_*, kcmp, sched_setaffinity, setpriority); changes to files (unlink,
rename, mkdir, link, symlink, truncate, chmod, chown, utime, xattr; opening for writing is refused by Landlock); memory
shared past the process (memfd_create, shm*, msg*, sem*, mq_*, mlock); a change of who or where one is (set*id, capset,
setrlimit, unshare, setns, chroot, mount, chdir, personality, keyctl); and the kernel's large side doors (io_uring, bpf,
perf_event_open, userfaultfd, inotify, fanotify, splice, modules, kexec, clocks, quotas).
"""

from __future__ import annotations

from dataclasses import dataclass
from errno import ENOSYS, EPERM

OWN_PID = -1
FIRST_UNKNOWN = 463  # Linux 6.11 ended with 462 (mseal)

# Name, number on x86_64, number on aarch64 ("-": that machine never had it).
_TABLE = """
# Bytes over descriptors that are already open; new pipes and event counters stay within the process.
    read 0 63  write 1 64  readv 19 65  writev 20 66  pread64 17 67  pwrite64 18 68  preadv 295 69  pwritev 296 70
    lseek 8 62  close 3 57  close_range 436 436  dup 32 23  dup2 33 -  dup3 292 24
    pipe 22 -  pipe2 293 59  eventfd2 290 19
# The call socket, which is open before the jail closes.
    sendto 44 206  recvfrom 45 207  sendmsg 46 211  recvmsg 47 212  shutdown 48 210
    getsockname 51 204  getpeername 52 205  getsockopt 55 209
# Waiting for one of several descriptors.
    poll 7 -  ppoll 271 73  select 23 -  pselect6 270 72
    epoll_create1 291 20  epoll_ctl 233 21  epoll_wait 232 -  epoll_pwait 281 22  epoll_pwait2 441 441
# Looking for files and opening them: late imports. Landlock decides which may be opened, and for reading only.
    open 2 -  openat 257 56  stat 4 -  lstat 6 -  fstat 5 80  newfstatat 262 79  statx 332 291
    statfs 137 43  fstatfs 138 44
    access 21 -  faccessat 269 48  faccessat2 439 439  readlink 89 -  readlinkat 267 78
    getdents 78 -  getdents64 217 61  getcwd 79 17
# Memory of one's own. Executable mappings too: a late import may load a shared library.
    brk 12 214  mmap 9 222  munmap 11 215  mremap 25 216  mprotect 10 226  madvise 28 233
# Threads, locks, and the end. (clone is checked below.)
    futex 202 98  set_robust_list 273 99  set_tid_address 218 96  rseq 334 293  membarrier 324 283  arch_prctl 158 -
    sched_yield 24 124  sched_getaffinity 204 123  sched_getparam 143 121  sched_getscheduler 145 120
    sched_get_priority_max 146 125  sched_get_priority_min 147 126  getcpu 309 168  exit 60 93  exit_group 231 94
# Handling signals: faulthandler, KeyboardInterrupt, abort. (Sending them is checked below.)
    rt_sigaction 13 134  rt_sigprocmask 14 135  rt_sigreturn 15 139  rt_sigpending 127 136  rt_sigtimedwait 128 137
    rt_sigsuspend 130 133  sigaltstack 131 132  restart_syscall 219 128  pause 34 -
# Reading clocks, sleeping, and alarms to oneself.
    clock_gettime 228 113  clock_getres 229 114  clock_nanosleep 230 115  nanosleep 35 101  gettimeofday 96 169
    time 201 -  times 100 153  alarm 37 -  getitimer 36 102  setitimer 38 103
# Asking who one is and what there is; random bytes.
    getpid 39 172  getppid 110 173  gettid 186 178  getpgid 121 155  getpgrp 111 -  getsid 124 156
    getuid 102 174  geteuid 107 175  getgid 104 176  getegid 108 177  getresuid 118 148  getresgid 120 150
    getgroups 115 158  capget 125 90  getpriority 140 141  getrlimit 97 163  getrusage 98 165
    sysinfo 99 179  uname 63 160  getrandom 318 278
"""


def _read(table: str) -> dict[str, tuple[int, int]]:
    words = " ".join(line for line in table.splitlines() if not line.startswith("#")).replace("-", "-1").split()
    return {n: (int(x86), int(arm)) for n, x86, arm in zip(words[::3], words[1::3], words[2::3], strict=True)}


ALLOWED: dict[str, tuple[int, int]] = _read(_TABLE)


@dataclass(frozen=True)
class When:
    """A call that is allowed only when `argument & mask` is one of `values`; else it fails with `otherwise`."""

    name: str
    numbers: tuple[int, int]
    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    pointer: bool = False  # compare all 64 bits; the kernel reads only 32 of the other arguments here
    otherwise: int = EPERM
    only_without_landlock: bool = False
    signal_at: int = -1  # the argument that is a signal: SIGKILL is refused, whoever it is for


SIGKILL = 9


# What pthread_create asks for: CLONE_VM|FS|FILES|SYSVSEM|SIGHAND|THREAD|SETTLS|PARENT_SETTID|CHILD_CLEARTID.
_PTHREAD, _DETACHED = 0x3D0F00, 0x400000  # musl adds the second, which the kernel ignores
_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _GETPIPE_SZ = 0, 1, 2, 3, 4, 1030, 1032
_TCGETS, _TCGETS2, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIOCLEX, _FIONCLEX = (
    0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5451, 0x5450,
)  # fmt: skip
_SET_NAME, _GET_NAME, _GET_DUMPABLE, _GET_SECCOMP, _CAPBSET_READ, _GET_NO_NEW_PRIVS = 15, 16, 3, 21, 23, 39
_SVE_GET_VL, _SME_GET_VL = 51, 64  # vector lengths on aarch64
_QUESTIONS = (_GET_NAME, _GET_DUMPABLE, _GET_SECCOMP, _CAPBSET_READ, _GET_NO_NEW_PRIVS, _SVE_GET_VL, _SME_GET_VL)
_WRITING = 0o3 | 0o100 | 0o1000  # O_ACCMODE, O_CREAT, O_TRUNC

CHECKED: tuple[When, ...] = (
    # clone3 hides its flags behind a pointer, where no filter can see them: the C library then falls back to clone
    When("clone3", (435, 435), 0, (), otherwise=ENOSYS),
    When("clone", (56, 220), 0, (_PTHREAD,), mask=0xFFFFFFFF & ~_DETACHED),
    # abort, raise and pthread_kill signal oneself; nobody else may be signalled, not even one's own group. And nobody may
    # be killed: so a worker that ends by SIGKILL was ended from outside, and the end is not held against its learner.
    When("kill", (62, 129), 0, (OWN_PID,), signal_at=1),
    When("tkill", (200, 130), 0, (OWN_PID,), signal_at=1),
    When("tgkill", (234, 131), 0, (OWN_PID,), signal_at=2),
    # no F_SETOWN (it sends signals), no locks, no larger pipes
    When("fcntl", (72, 25), 1, (_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _GETPIPE_SZ)),
    # isatty, a terminal's width, non-blocking and close-on-exec; no TIOCSTI, no devices
    When("ioctl", (16, 29), 1, (_TCGETS, _TCGETS2, _TIOCGWINSZ, _FIONREAD, _FIONBIO, _FIOCLEX, _FIONCLEX)),
    # names of threads, and questions; the death signal and dumpability stay as the jail set them
    When("prctl", (157, 167), 0, (_SET_NAME, *_QUESTIONS)),
    # getrlimit goes through prlimit64; setting one has a second argument that is not null
    When("prlimit64", (302, 261), 2, (0,), pointer=True),
    When("open", (2, -1), 1, (0,), mask=_WRITING, only_without_landlock=True),
    When("openat", (257, 56), 2, (0,), mask=_WRITING, only_without_landlock=True),
)
