"""Exit codes, as DESIGN §7 fixes them: a script tells by the number what to do next.

0 ok · 1 damage found, or failed · 2 usage, or a request that this pool could never meet ·
3 no such task, server or project · 4 not available now, worth waiting for · 5 conflict · 65 not a
ledger, or a newer format · 74 disk full, I/O error, or connection lost · 75 lock time-out ·
77 not permitted · 78 bad configuration · 124 wait timed out · 126 a command that cannot be
executed · 127 a command that is not there · 130 Ctrl-C · 141 closed pipe.
"""

from __future__ import annotations

from ..ledger.errors import GpuledgerError

OK = 0
FAILED = 1
USAGE = 2
UNKNOWN_NAME = 3
NOT_NOW = 4
CONFLICT = 5
NOT_A_LEDGER = 65
STORAGE = 74
LOCKED = 75
NOT_PERMITTED = 77
CONFIGURATION = 78
WAITED = 124
NOT_EXECUTABLE = 126
NOT_FOUND = 127
INTERRUPTED = 130
PIPE_CLOSED = 141

BY_CODE = {
    "failed": FAILED,
    "damaged": FAILED,
    "broken_chain": FAILED,
    "lost_tail": FAILED,
    "nothing_left": FAILED,
    "bad_request": USAGE,
    "reason_needed": USAGE,
    "no_such_task": UNKNOWN_NAME,
    "no_such_server": UNKNOWN_NAME,
    "no_such_project": UNKNOWN_NAME,
    "no_such_mirror": UNKNOWN_NAME,
    "not_waiting": UNKNOWN_NAME,
    "head_moved": NOT_NOW,
    "already_there": CONFLICT,
    "other_ledger": CONFLICT,
    "does_not_extend": CONFLICT,
    "key_reused": CONFLICT,
    "task_in_use": CONFLICT,
    "has_ended": CONFLICT,
    "no_lease": CONFLICT,
    "ambiguous_task": CONFLICT,
    "server_in_use": CONFLICT,
    "not_empty": CONFLICT,
    "not_a_ledger": NOT_A_LEDGER,
    "newer_format": NOT_A_LEDGER,
    "no_history": NOT_A_LEDGER,
    "unknown_event": NOT_A_LEDGER,
    "storage_failed": STORAGE,
    "lock_timeout": LOCKED,
    "waited_in_vain": WAITED,
    "not_permitted": NOT_PERMITTED,
    "ledger_missing": CONFIGURATION,
    "network_filesystem": CONFIGURATION,
    "no_such_group": CONFIGURATION,
    "unsuitable_folder": CONFIGURATION,
    "mirror_unusable": CONFIGURATION,
    "no_working_directory": CONFIGURATION,
    "bad_configuration": CONFIGURATION,
    "signing_key": CONFIGURATION,
    "far_failed": FAILED,
    "connection_lost": STORAGE,
    "not_reached": STORAGE,
    "no_ssh": CONFIGURATION,
    "not_there": CONFIGURATION,
    "versions_differ": CONFIGURATION,
    "second_hop": CONFIGURATION,
    "command_refused": NOT_EXECUTABLE,
    "command_missing": NOT_FOUND,
}

BY_REASON = {
    "never": USAGE,
    "limit": USAGE,
    "not_permitted": NOT_PERMITTED,
    "drained": NOT_NOW,
    "no_gpus": NOT_NOW,
    "no_cpus": NOT_NOW,
    "fragmented": NOT_NOW,
    "waiting": NOT_NOW,
}


def exit_code(error: GpuledgerError) -> int:
    """The exit code of a failure; of a refusal it depends on the reason."""
    if error.code == "refused":
        if getattr(error.facts.get("breach"), "passes", False):
            return NOT_NOW
        return BY_REASON.get(str(error.facts.get("reason")), FAILED)
    return BY_CODE.get(error.code, FAILED)
