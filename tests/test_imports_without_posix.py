"""Windows is a target: nothing at import time needs a name that only POSIX has."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from source_tree import sources

# Runs in a process of its own. Everything is imported once, so that what others' packages need
# is there; then our modules are forgotten, the POSIX names hidden, and ours imported again.
HIDE_AND_IMPORT = """
import importlib, json, os, signal, socket, sys, time, types

platform, *modules = json.loads(sys.stdin.read())
for module in modules:
    importlib.import_module(module)
for module in [name for name in sys.modules if name.split(".")[0] == "gpuledger"]:
    del sys.modules[module]

for module in "crypt fcntl grp nis posix pty pwd readline resource spwd syslog termios tty".split():
    sys.modules[module] = None
hidden = {
    os: '''EX_CANTCREAT EX_CONFIG EX_DATAERR EX_IOERR EX_NOPERM EX_OK EX_TEMPFAIL EX_USAGE F_LOCK
        O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC WNOHANG chown
        chroot confstr copy_file_range ctermid eventfd fchdir fchmod fchown fdatasync fork forkpty
        fpathconf fstatvfs getegid geteuid getgid getgrouplist getgroups getpgid getpgrp getpriority
        getrandom getresuid getsid getuid getxattr initgroups killpg lchown listxattr lockf major
        makedev memfd_create minor mkfifo mknod nice openpty pathconf pidfd_open pipe2
        posix_fadvise posix_fallocate posix_spawn pread preadv pwrite pwritev readv register_at_fork
        sched_getaffinity sched_yield sendfile setegid seteuid setgid setgroups setpgid setpriority
        setregid setresuid setreuid setsid setuid setxattr statvfs sync sysconf tcgetpgrp tcsetpgrp
        ttyname uname unshare wait wait3 wait4 waitid writev''',
    signal: '''ITIMER_REAL SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP
        SIGUSR1 SIGUSR2 SIGWINCH SIG_BLOCK alarm pause pthread_kill pthread_sigmask setitimer
        sigpending sigtimedwait sigwait sigwaitinfo''',
    socket: 'AF_UNIX sendmsg socketpair',
    time: 'clock_settime pthread_getcpuclockid tzset',
}
for owner, names in hidden.items():
    for name in names.split():
        if hasattr(owner, name):
            delattr(owner, name)
if platform == "win32":
    sys.platform = platform
    sys.modules["msvcrt"] = types.ModuleType("msvcrt")
    sys.modules["winreg"] = types.ModuleType("winreg")

failed = {}
for module in modules:
    try:
        importlib.import_module(module)
    except Exception as error:
        failed[module] = repr(error)
print(json.dumps(failed))
"""


@pytest.mark.parametrize("platform", ["unnamed", "win32"])
def test_every_module_imports_without_posix(platform: str) -> None:
    """With fcntl, pwd, os.getuid and their like hidden, every module of ours still imports."""
    modules = [source.module for source in sources() if source.module != "gpuledger.__main__"]
    done = subprocess.run(
        [sys.executable, "-c", HIDE_AND_IMPORT],
        input=json.dumps([platform, *modules]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert json.loads(done.stdout) == {}
    assert done.returncode == 0
