"""Shuts what a launcher runs in: it sees what its view names, and nothing else of this machine's files and processes.

Runs in the launcher (launcher.py) and imports as little. These are Linux's own means, by their system calls, since
Python has none of them before 3.12: a namespace of mounts whose root holds the view alone, one of process ids, whose
first process takes all others with it when it ends, and one of what processes share without files; and a session's
keyring of its own. Who is root leaves
that for the view's user; anybody else needs a user namespace for all this, in which he stays who he is. Either way what
runs has no capabilities, and gets none by any program that it starts.

Not shut in: the network. Kernels before 5.12 cannot do this, nor machines that keep user namespaces from their users.
"""

import ctypes
import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from typing import Final, NoReturn, TypedDict

_NEW_MOUNTS, _NEW_IPC, _NEW_USER, _NEW_PIDS = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_READ_ONLY, _NO_SETUID, _NO_DEVICES, _NO_PROGRAMS = 1, 2, 4, 8
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_DETACH: Final = 2
_MOUNT_SETATTR: Final = 442  # the same number on every architecture
_AT_CWD, _AT_RECURSIVE = -100, 0x8000
_KEYCTL: Final = {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING: Final = 1
_PARENT_DEATH_SIGNAL, _NO_NEW_PRIVILEGES = 1, 38

_DEVICES: Final = ("null", "zero", "full", "random", "urandom", "tty")
_DESCRIPTORS: Final = {"fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"}

_libc = ctypes.CDLL(None, use_errno=True)


class View(TypedDict):
    """What is seen, every path under its own name.

    `read` are files and folders, `hidden` is a folder that they may be around and of which nothing is seen but
    `read_inside` and `write`. `root` is the name of a folder that nobody else uses, `work` the folder to start in.
    `user` is the user and group as whom all runs where this process is root. `processes` is how many processes and
    threads that user may have at a time; where it is this process' own, how many there may be in the view.
    """

    root: str
    read: list[str]
    hidden: str
    read_inside: list[str]
    write: list[str]
    work: str
    user: int
    processes: int


def shut_in(view: View, run: Callable[[], int | None]) -> int | None:
    """Return what `run` returns when it is called in a view; None also if that cannot be made, and stderr says why.

    SIGTERM is passed on, SIGALRM ends what runs at once. Nothing of it outlives this call or this process. `run` takes
    both signals from the moment on when it unblocks them.
    """
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _NEW_IPC | _NEW_PIDS | (_NEW_USER if user else 0))
    if user:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{user} {user} 1")
        _write("/proc/self/gid_map", f"{group} {group} 1")
    reader, writer = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGALRM))
    keeper = os.fork()
    if keeper == 0:
        _keep(view, run, writer)
    os.close(writer)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(keeper, signal.SIGTERM))
    signal.signal(signal.SIGALRM, lambda *_: os.kill(keeper, signal.SIGKILL))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGALRM))
    with open(reader, "rb") as said:
        code = said.read()  # to its end, which is that of the keeper and of all below it
    os.waitpid(keeper, 0)
    return int(code) if code else None


def _keep(view: View, run: Callable[[], int | None], writer: int) -> NoReturn:
    """Be the first process of the namespace, which ends with this one."""
    try:
        _enter(view)
        code = run()
        if code is not None:
            os.write(writer, str(code).encode())
    except Exception as error:
        print(f"cannot shut the task in: {error}", file=sys.stderr, flush=True)  # noqa: T201 -- stderr is the task's
    finally:
        os._exit(0)


def _enter(view: View) -> None:
    root = view["root"]
    os.umask(0o022)  # the view's user must get through what is made here
    _call("unshare", _NEW_MOUNTS)  # of its own: the launcher still writes where it was told to
    _mount(None, "/", None, _RECURSIVE | _PRIVATE)
    os.mkdir(root)
    _mount("tmpfs", root, "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=0755,size=16m")
    _show_system(root, os.geteuid() or view["user"])
    for path in view["read"]:
        _show(root, path, _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    if os.path.isdir(root + view["hidden"]):
        _mount("tmpfs", root + view["hidden"], "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=0755,size=16m")
    for path in view["read_inside"]:
        _show(root, path, _READ_ONLY | _NO_SETUID | _NO_DEVICES)
    for path in view["write"]:
        _show(root, path, _NO_SETUID | _NO_DEVICES)
    os.chdir(root)
    _call("pivot_root", b".", b".")  # the old root is now above the new one, which stays the working folder
    _call("umount2", b".", _DETACH)
    os.chdir(view["work"])
    _restrict("/", _READ_ONLY, recursive=False)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(*3 * (view["user"],))
        os.setresuid(*3 * (view["user"],))
    _forget_keys()
    resource.setrlimit(resource.RLIMIT_NPROC, 2 * (view["processes"],))
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    _call("prctl", _PARENT_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)  # a change of user would undo this


def _forget_keys() -> None:
    """Leave the session's keyring, which holds the keys of whoever started the server, for an empty one."""
    machine = os.uname().machine
    if machine not in _KEYCTL:
        raise OSError(f"the number of keyctl is not known for {machine}")
    if _libc.syscall(ctypes.c_long(_KEYCTL[machine]), _JOIN_SESSION_KEYRING, None) < 0:
        number = ctypes.get_errno()
        if number not in (errno.ENOSYS, errno.EPERM):  # a kernel without keys, a container that is kept from them
            raise OSError(number, f"keyctl: {os.strerror(number)}")


def _show_system(root: str, user: int) -> None:
    """Add what every program takes for granted: processes, which are its own, devices, a place for files, names."""
    for folder in ("/proc", "/dev", "/tmp", "/dev/shm", "/etc"):
        os.makedirs(root + folder, exist_ok=True)
    _mount("proc", f"{root}/proc", "proc", _NO_SETUID | _NO_DEVICES | _NO_PROGRAMS)
    _mount("tmpfs", f"{root}/tmp", "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=1777")
    for name in _DEVICES:
        _show(root, f"/dev/{name}", 0)
    _mount("tmpfs", f"{root}/dev/shm", "tmpfs", _NO_SETUID | _NO_DEVICES, "mode=1777")
    for name, descriptor in _DESCRIPTORS.items():
        os.symlink(f"/proc/self/fd{descriptor}", f"{root}/dev/{name}")
    _write(f"{root}/etc/passwd", f"task:x:{user}:{user}::/tmp:/bin/sh\n")
    _write(f"{root}/etc/group", f"task:x:{user}:\n")


def _show(root: str, path: str, restrictions: int) -> None:
    """Show a file or folder at its own path; where there are links, what they lead to."""
    source, target = os.path.realpath(path), root + path
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o600))
    _mount(source, target, None, _BIND | _RECURSIVE)
    if restrictions:
        _restrict(target, restrictions, recursive=True)


def _restrict(target: str, restrictions: int, *, recursive: bool) -> None:
    """Take away from a mount, and all mounts below it; what is gone already stays so."""
    attributes = (ctypes.c_uint64 * 4)(restrictions, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    flags = _AT_RECURSIVE if recursive else 0
    _call("syscall", ctypes.c_long(_MOUNT_SETATTR), _AT_CWD, target.encode(), flags, ctypes.byref(attributes), size)


def _mount(source: str | None, target: str, kind: str | None, flags: int, options: str = "") -> None:
    words = [None if word is None else word.encode() for word in (source, target, kind)]
    _call("mount", *words, ctypes.c_ulong(flags), options.encode())


def _call(name: str, *arguments: object) -> None:
    """Make a system call. Raises OSError."""
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
