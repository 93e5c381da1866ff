"""Faults on demand, read at every call.

`state/inject/POINT` holds "delay SECONDS", "fail", "fail COUNT" or a delay and
a failure; the count goes down with each failure. No file, no fault.
"""
import fcntl
import os
import time


def point(name):
    delay, fails = _take(os.path.join(os.environ['LAB_STATE'], 'inject', name))
    time.sleep(delay)
    if fails:
        raise RuntimeError('lab: injected failure at %s' % name)


def _take(path):
    try:
        f = open(path, 'r+')
    except FileNotFoundError:
        return 0, False
    with f:
        fcntl.flock(f, fcntl.LOCK_EX)
        words = f.read().split()
        delay = float(words[words.index('delay') + 1]) if 'delay' in words else 0
        if 'fail' not in words:
            return delay, False
        at = words.index('fail') + 1
        if at == len(words) or not words[at].isdigit():
            return delay, True
        left = int(words[at])
        words[at] = str(max(left - 1, 0))
        f.seek(0)
        f.truncate()
        f.write(' '.join(words) + '\n')
        return delay, left > 0
