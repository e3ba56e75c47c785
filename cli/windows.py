"""Windows' word for who runs a process: the SID of its token, by ctypes.

Every function answers None on other platforms and where a call fails; the caller then
falls back to a name and says that the record is cooperative. Loaded only where there
are no uids.
"""

from __future__ import annotations

from typing import Any

TOKEN_QUERY = 0x0008
TOKEN_USER = 1
NAME_SAM_COMPATIBLE = 2


def own_sid() -> str | None:
    """The SID of this process, such as `S-1-5-21-…-1001`."""
    libraries = _libraries()
    if libraries is None:
        return None
    import ctypes

    advapi, kernel = libraries
    token = ctypes.c_void_p()
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    if not advapi.OpenProcessToken(process, TOKEN_QUERY, ctypes.byref(token)):
        return None
    try:
        size = ctypes.c_ulong()
        advapi.GetTokenInformation(token, TOKEN_USER, None, 0, ctypes.byref(size))
        held = ctypes.create_string_buffer(max(size.value, ctypes.sizeof(ctypes.c_void_p)))
        if not advapi.GetTokenInformation(token, TOKEN_USER, held, size, ctypes.byref(size)):
            return None
        # A TOKEN_USER begins with the address of the SID, which lies in the same buffer.
        return _text(advapi, kernel, ctypes.c_void_p.from_buffer(held))
    finally:
        kernel.CloseHandle(token)


def sid_of(user: str) -> str | None:
    """The SID behind an account's name."""
    libraries = _libraries()
    if libraries is None:
        return None
    import ctypes

    advapi, kernel = libraries
    size, domain_size, kind = ctypes.c_ulong(), ctypes.c_ulong(), ctypes.c_int()
    sizes = (ctypes.byref(size), ctypes.byref(domain_size), ctypes.byref(kind))
    advapi.LookupAccountNameW(None, user, None, sizes[0], None, sizes[1], sizes[2])
    if not size.value:
        return None
    sid = ctypes.create_string_buffer(size.value)
    domain = ctypes.create_unicode_buffer(max(domain_size.value, 1))
    if not advapi.LookupAccountNameW(None, user, sid, sizes[0], domain, sizes[1], sizes[2]):
        return None
    return _text(advapi, kernel, sid)


def own_name() -> str | None:
    r"""The account's name as Windows tells it, `DOMAIN\ada`, without its domain."""
    if _libraries() is None:
        return None
    import ctypes

    secur = getattr(ctypes, "WinDLL")("secur32")  # noqa: B009 — the name exists on Windows only
    size = ctypes.c_ulong(256)
    name = ctypes.create_unicode_buffer(size.value)
    if not secur.GetUserNameExW(NAME_SAM_COMPATIBLE, name, ctypes.byref(size)):
        return None
    told = name.value.rpartition("\\")[2]
    return told if told and told.isprintable() else None


def _libraries() -> tuple[Any, Any] | None:
    """advapi32 and kernel32 with the types of the calls that give or take handles."""
    import ctypes

    load = getattr(ctypes, "WinDLL", None)
    if load is None:
        return None
    advapi, kernel = load("advapi32"), load("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.CloseHandle.argtypes = [ctypes.c_void_p]
    kernel.LocalFree.argtypes = [ctypes.c_void_p]
    return advapi, kernel


def _text(advapi: Any, kernel: Any, sid: Any) -> str | None:  # noqa: ANN401 — foreign libraries
    """A SID in its text form."""
    import ctypes

    text = ctypes.c_wchar_p()
    if not advapi.ConvertSidToStringSidW(sid, ctypes.byref(text)):
        return None
    told = text.value
    kernel.LocalFree(ctypes.cast(text, ctypes.c_void_p))
    return told
